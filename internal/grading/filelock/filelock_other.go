//go:build !unix

package filelock

import (
	"errors"
	"fmt"
	"os"
)

func take(path string, create int, strict bool) (*os.File, error) {
	if strict {
		return nil, fmt.Errorf("filelock: %s: %w", path, errors.ErrUnsupported)
	}
	f, err := os.OpenFile(path, create|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("filelock: %w", err)
	}
	return f, nil
}
