// The sequential parts that a page has, by the names that a network's file gives them: bottomup/grouping/kinds.py.

import { boxGrouping } from "./boxed.js";
import { tagGrouping } from "./tags.js";
import { posenetGrouping, seedGrouping } from "./walked.js";

export const KINDS = {
  TagGrouping: tagGrouping,
  SeedGrouping: seedGrouping,
  PosenetGrouping: posenetGrouping,
  BoxGrouping: boxGrouping,
};
