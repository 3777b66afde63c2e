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

// IsolationLevel is how far this grader keeps a submission from harm, as the
// results publish it: 0 none; 1 gate and channel; 2 with a layer of the
// operating system; 3 the whole grader in a container.
const IsolationLevel = 1
