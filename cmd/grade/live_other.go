//go:build !unix

package main

import "errors"

func become(string, []string) error {
	return usage(errors.New("live needs Linux or macOS: it stops and continues processes"))
}
