// Package gate reads a submission's source before any of it is built or run, and says why it is refused.
//
// A test and the code that it tests share a process, and therefore everything that the language cannot keep apart. So the
// gate admits only source that stays within the language: no package that opens files, sockets or memory; no directive
// that the toolchain obeys; no value of package reflect and no unsafe.Pointer, by whatever way it was reached. And as the
// nodes of a lab share a process too, it admits only source in which they share no memory.
//
// Look (syntax.go) reads syntax, which is bounded work. Check (types.go) needs types, and the type checker can be made to work for long
// (constants and generic types that grow): run it in a process that has limits.
//
// The gate is a filter in front of other barriers, not a proof of honesty: see docs/isolation.md.
package gate
