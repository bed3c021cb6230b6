"""``bottomup COMMAND [OVERRIDE …]``: Hydra overrides in, a library call out."""

from __future__ import annotations

import contextlib
import importlib
import io
import os
import select
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from bottomup.ending import Asked, ending
from bottomup.errors import (
    BottomupError,
    BottomupWarning,
    ConfigError,
    InterruptedRunError,
    RankError,
    of_system,
    printable,
    unknown,
)
from bottomup.version import __version__

# command -> (module of bottomup.commands, configuration)
COMMANDS = {
    "train": ("train", "train"),
    "evaluate": ("evaluate", "evaluate"),
    "predict": ("predict", "predict"),
    "export": ("export", "export"),
    "page": ("page", "page"),
    "track": ("track", "track"),
    "combine": ("combine", "train"),
    "impute": ("impute", "impute"),
    "benchmark": ("benchmark", None),  # which composes each combination by itself
    "report": ("report", "report"),
    "show_targets": ("targets", "train"),
    "list": ("catalogue", None),
    "doctor": ("doctor", "evaluate"),
    "import-weights": ("import_weights", None),
    "zoo": ("zoo", None),
}

_ASKS = ("-h", "--help")  # for help

_INTERRUPTED, _TERMINATED = 130, 143  # 128 + SIGINT and SIGTERM, as shells have it
_UNREAD = 141  # 128 + SIGPIPE, likewise

_HELP = """bottomup COMMAND [OVERRIDE ...]

  train         data=… method=… backbone=… output=…      train a model; a small one on drawn people where nothing is given
  evaluate      weights=… [data=…] [oracle=[…]]          AP, errors, best and worst images
  predict       weights=… images=…                       poses of an image, a folder or a glob (photos/**/*.jpg), or of a video
  page          weights=[A,B] output=page.html           networks side by side in one page, which runs in any browser
  track         weights=… images=clip.mp4 | camera=0     the same along a video, and who is who
  export        weights=… output=…                       network and decoder as one file: ONNX, or PyTorch
  combine       method=… init=[A,B] output=…             parts trained apart as one checkpoint
  impute        weights=… data=… output=FILE.json        keypoints for the people that nobody annotated any of
  benchmark     matrix=… | method=A,B input_size=…       accuracy, speed and size of every combination
  report        results=FOLDER                           what was measured, as tables, plots and one page
  show_targets  data=… method=…                          what the network is taught, as pictures
  list          [backbones|heads|…] | head tags          components, options, defaults
  doctor        [data=…]                                 versions, device, data check
  import-weights [KIND] FILE output=…                    a published network's file as a checkpoint
  zoo           [NAME]                                   published networks that go by name: weights=posenet

bottomup COMMAND --help lists a command's keys, bottomup COMMAND … show=true prints what they come to, bottomup --version.
Overrides are Hydra's: `bottomup train backbone=resnet50_fpn engine.optimiser.lr=1e-3 output=outputs/mine`.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 0 on success, 1 with one readable sentence on a user's error, 2 on a wrong command, 130 on Ctrl-C.

    143 on SIGTERM. 141 where nobody reads on: ``bottomup list | head`` ends as other programs do, without a word. Without
    ``arguments`` it is the program: names that are no text are printed as their escapes, and while Python ends signals end it.
    """
    program = arguments is None
    if program:
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")
    try:
        with ending(lasting=program) as asked:
            code = _main(list(sys.argv[1:] if arguments is None else arguments), asked)
            sys.stdout.flush()  # what is refused here would be told when Python ends
    except KeyboardInterrupt:  # between the two
        return _INTERRUPTED
    except BrokenPipeError:
        if not _silence_unread():
            raise  # another pipe, as a worker's
        return _UNREAD
    return code


def _main(arguments: list[str], asked: Asked) -> int:
    if not arguments or arguments[0] in _ASKS or arguments == ["help"]:
        print(_HELP)
        return 0 if arguments else 2
    if arguments[0] in ("--version", "-V", "version"):
        print(f"bottomup {__version__}")
        return 0
    command, *overrides = arguments if arguments[0] != "help" else [arguments[1], "--help"]
    try:
        with _warning_in_lines(command):
            return _run(command, overrides)
    except InterruptedRunError as error:
        _say(command, _sentence(error))
        return _INTERRUPTED
    except RankError as error:
        if "TORCHELASTIC_RUN_ID" not in os.environ:  # else torchrun says which rank failed, and that rank why
            _say(command, _sentence(error))
        return 1
    except BottomupError as error:
        _say(command, _sentence(error))
        return 2 if command not in COMMANDS else 1
    except BrokenPipeError:
        raise
    except BaseException as error:
        if asked.number is not None or isinstance(error, KeyboardInterrupt):  # an import that is cut short raises what it likes
            return _ended(command, asked)
        sentence = _of_the_machine(error)
        if sentence is None:
            raise
        _say(command, sentence)
        return 1


def _ended(command: str, asked: Asked) -> int:
    """Say which signal ended a command; the code that shells give it."""
    terminated = asked.number == signal.SIGTERM
    _say(command, "terminated" if terminated else "interrupted")
    return _TERMINATED if terminated else _INTERRUPTED


def _of_the_machine(error: BaseException) -> str | None:
    """A sentence for what the system or Python refuses anywhere; None for a fault of ours, which is told with its traceback."""
    if isinstance(error, OSError) and error.errno is not None:
        where = f"{error.filename}: " if error.filename is not None else ""
        return where + of_system(error)
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] != __package__:
        return (
            f"{error.name} is missing, as where bottomup was installed --no-deps to run exported files; `pip install bottomup` "
            "brings what this command needs, and bottomup.runtime does without"
        )
    if isinstance(error, MemoryError):
        return "no memory left; give a smaller input_size= or batch_size=, or fewer workers="
    if isinstance(error, RecursionError):
        return "something that is given is nested too deeply; give it flat"
    return None


def _silence_unread() -> bool:
    """Let what was printed for nobody go nowhere; whether stdout or stderr is a pipe that nobody reads."""
    left = [stream.fileno() for stream in (sys.stdout, sys.stderr) if _is_unread(stream)]
    for descriptor in left:
        os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
    return bool(left)


def _is_unread(stream: TextIO) -> bool:
    try:
        stream.flush()
        return bool(_polled(stream.fileno()))
    except BrokenPipeError:
        return True
    except (OSError, ValueError):  # no file behind it, or a closed one
        return False


def _polled(descriptor: int) -> object:
    """What the system says of a pipe that cannot be written to; an unbuffered stream keeps nothing to flush."""
    if not hasattr(select, "poll"):  # Windows
        return False
    poll = select.poll()
    poll.register(descriptor, 0)
    return poll.poll(0)


def _say(command: str, sentence: str) -> None:
    """One line about the exception that ended a command, below its traceback where BOTTOMUP_TRACEBACK asks for that.

    Of several ranks the first that has something to say says it; the others end because that one did, or say the same.
    """
    if os.environ.get("BOTTOMUP_TRACEBACK"):
        traceback.print_exc()
    if "WORLD_SIZE" in os.environ and not importlib.import_module("bottomup.engine.distributed").first_to_say():
        return
    print(printable(f"bottomup {command}: {sentence}"), file=sys.stderr)


@contextlib.contextmanager
def _warning_in_lines(command: str) -> Iterator[None]:
    """Let our own warnings be a line each, without the place in the code, which a user of commands has nothing to do with."""
    written = warnings.formatwarning

    def formatted(message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None) -> str:
        if issubclass(category, BottomupWarning):
            return printable(f"bottomup {command}: {message}\n")
        return written(message, category, filename, lineno, line)

    warnings.formatwarning = formatted
    try:
        yield
    finally:
        warnings.formatwarning = written


def _run(command: str, overrides: list[str]) -> int:
    if command not in COMMANDS:
        raise ConfigError(unknown("command", command, list(COMMANDS)))
    module, config = COMMANDS[command]
    if set(_ASKS) & set(overrides):
        print(_help(command, module, config))
    elif _shows(overrides):
        importlib.import_module("bottomup.commands.show").run(command, overrides)
    else:
        importlib.import_module(f"bottomup.commands.{module}").run(overrides)
    return 0


def _help(command: str, module: str, config: str | None) -> str:
    from bottomup.plan.command_help import command_help
    from bottomup.plan.files import config_folder

    own = command if (config_folder() / f"{command}.yaml").is_file() else config
    return command_help(command, Path(__file__).parent / "commands" / f"{module}.py", own)


def _shows(overrides: Sequence[str]) -> bool:
    """Whether the configuration is to be printed instead of the command run."""
    return any(text.lstrip("+").lower() == "show=true" for text in overrides)


def _sentence(error: BottomupError) -> str:
    """The message; of one that crossed a worker process, its last line."""
    text = str(error)
    return text.strip().splitlines()[-1].split(": ", 1)[-1] if "Traceback (most recent call last)" in text else text


if __name__ == "__main__":
    sys.exit(main())
