// Package grade runs the tests that are expected of a lab and judges each: the verdict, hangs, starvation, the
// first failure, and the replay of one seed.
//
// A test process's output is never believed: a test counts only if its own
// signed events say that it began and passed, no event is missing, and the
// process then ended with status 0.
//
// A [Grader] holds a [workspace.Builder], in whose workspaces everything is built, and whose sandbox runs every test
// of a submission in a process of its own; tests of our own code may share some. What it says is a [result.Result]. The package never imports a lab, the network or the
// test harness, and knows no mutant: package prove, which does, asks a grader as every command does.
package grade

// Version is the version of the grader that results name.
const Version = "0.1.0"
