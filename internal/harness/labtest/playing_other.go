//go:build !js

package labtest

// servePage reports that no page asks.
func servePage(func(string) string) bool { return false }
