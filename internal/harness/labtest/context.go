package labtest

import (
	"context"
	"errors"
	"time"
)

// errCause is the cause of the contexts that tests end. It is not their error: a call that returns
// context.Cause(ctx) where ctx.Err() is due returns errCause.
var errCause = errors.New("the caller's reason")

// WithTimeout is context.WithTimeout whose context has the cause errCause, whether its time is over or it is cancelled.
func WithTimeout(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	ctx, cancel := WithCancel(ctx)
	ctx, stop := context.WithTimeoutCause(ctx, limit, errCause)
	return ctx, func() {
		cancel() // before stop, whose cause would be context.Canceled
		stop()
	}
}

// WithCancel is context.WithCancel whose context has the cause errCause.
func WithCancel(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancelCause(ctx)
	return ctx, func() { cancel(errCause) }
}
