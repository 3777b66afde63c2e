// Package histfile reads histories that tests of real systems have written, and judges them with the checkers of this
// course.
//
// It reads the formats that Jepsen, Maelstrom and Porcupine write: EDN or JSON, one operation after another or all of them in
// one vector or array; and the lines of a Jepsen log. An operation is a map with type (invoke, ok, fail, info),
// f, value and process; key, if the values do not hold it; index and time are not needed. An operation that was invoked
// and is not completed, or completed with info, may have happened or not, at any time since.
//
// A file is read one operation at a time. Models that need only counts (counter, set, bank) keep no operations, so that a
// history may be larger than the memory; the others keep all of it.
package histfile
