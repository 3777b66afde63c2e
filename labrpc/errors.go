package labrpc

import (
	"errors"
	"fmt"
)

// What may go wrong, for [errors.Is].
var (
	// ErrNoReply: no reply came before the context ended. The request may have been
	// lost, or its reply, or the other side may be slow: the handler may have run,
	// may be running or may run later.
	ErrNoReply = errors.New("no reply")
	// ErrDown: the calling node itself has crashed or was stopped. Its goroutines should end.
	ErrDown = errors.New("this node is down")
	// ErrNoNode: there is no node with that ID.
	ErrNoNode = errors.New("no such node")
	// ErrNoMethod: the receiver has no handler of that name. Nothing was run.
	ErrNoMethod = errors.New("no such method")
	// ErrType: a value cannot travel, or is not of the type that the handler takes. Nothing was run.
	ErrType = errors.New("wrong type")
)

// callError is the error of one message; it is formatted only if somebody looks.
type callError struct {
	from, to NodeID
	method   string
	is       error // one of the sentinels
	why      error // more about it, or nil
}

func (e *callError) Error() string {
	s := fmt.Sprintf("labrpc: %v→%v %s: %v", e.from, e.to, e.method, e.is)
	if e.to == 0 {
		s = fmt.Sprintf("labrpc: %s by %v: %v", e.method, e.from, e.is)
	}
	if e.why != nil {
		s += ": " + e.why.Error()
	}
	return s
}

func (e *callError) Unwrap() []error {
	if e.why == nil {
		return []error{e.is}
	}
	return []error{e.is, e.why}
}
