package main

import (
	"context"
	"errors"
)

func runTorture(context.Context, flags) error { return errors.New("not yet") }
