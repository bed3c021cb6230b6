// A picture from the webcam.

/** Let one button open the webcam, and close it again, and another give a picture of it to `take`. */
export function webcam(toggle, shoot, video, take, refuse) {
  const [open, close] = [toggle.textContent, "Close webcam"];

  function end() {
    video.srcObject?.getTracks().forEach((track) => track.stop());
    video.srcObject = null;
    [video.hidden, shoot.hidden, toggle.textContent] = [true, true, open];
  }

  toggle.hidden = !navigator.mediaDevices;
  toggle.onclick = async () => {
    if (video.srcObject) return end();
    try {
      video.srcObject = await navigator.mediaDevices.getUserMedia({ video: true });
    } catch (error) {
      return refuse(`The webcam cannot be used: ${error.message}.`);
    }
    [video.hidden, shoot.hidden, toggle.textContent] = [false, false, close];
    await video.play();
  };
  shoot.onclick = async () => {
    const canvas = new OffscreenCanvas(video.videoWidth, video.videoHeight);
    canvas.getContext("2d").drawImage(video, 0, 0);
    end();
    await take(await canvas.convertToBlob({ type: "image/png" }));
  };
}
