package replication

import (
	"context"
	"errors"
)

// Watch calls f with every change after the given revision of every key that begins with prefix, in order, each once,
// whichever server crashes; one call at a time, and without waiting for the f of another watch. f may call all methods
// of the Client. Watch returns when ctx ends, with its error; or with ErrCompacted if the store no longer has all
// changes since that revision.
func (c *Client) Watch(ctx context.Context, prefix string, after int, f func(Event)) error {
	// TODO(5D): ask for the changes.
	return errors.New("replication: Watch is not written yet")
}
