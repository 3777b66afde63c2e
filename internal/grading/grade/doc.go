// Package grade grades. It takes the files of a source (the working tree, the
// reference, a submission, a mutant), lays those that the lab permits over the
// pristine labs in a scratch workspace, builds each lab's test binary there,
// runs every expected test in a process of its own, and scores what the test
// harness reports on the signed results channel.
//
// What a test process prints is never believed: a test counts only if its own
// signed events say that it began and passed, no event is missing, and the
// process then ended with status 0.
//
// The package never imports a lab, the network or the test harness.
package grade

// Version is the version of the grader that results name.
const Version = "0.1.0"
