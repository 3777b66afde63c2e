// Package workspace makes the places in which sources are built and run: a scratch copy of the course with
// the files of a source copied over it, and the test binary of each lab, built there.
//
// A [Builder] has what all workspaces share: the course, the Go toolchain and its caches, the scratch folder,
// the sandbox and the job slots. A [Workspace] is one source's: files that the gate refuses, and code that does
// not compile, end as a sentence in its [Lab]; an error is about this checkout or machine.
//
// The package knows submissions and the sandbox. It runs no test and knows no verdict.
package workspace

import ()
