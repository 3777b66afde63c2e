// Package submission knows which files of whose work are graded: it finds the permitted files of a
// [Source] (the working tree, the reference, a submission, a mutant), and says what it ignored.
//
// A submission is a stranger's: it is read through os.Root, no link is followed, and whatever is wrong
// with it is a sentence in [Files], never an error. The package knows the course; it builds and runs nothing.
package submission

import ()
