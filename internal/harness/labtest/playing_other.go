//go:build !js

package labtest

// servePage reports that no page asks.
func servePage(*player) bool { return false }
