// Package sandbox runs one command safely: [Box.Run] gives it a process group, limits, and the barriers
// that the machine offers (namespaces, Landlock, a user of its own), and ends whatever it leaves behind.
//
// The package knows nothing of labs, tests and grades. A program that uses it calls [Serve] first in
// main, and gets a [Box] from [Find], which tries the barriers from inside before it promises them.
package sandbox
