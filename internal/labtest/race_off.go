//go:build !race

package labtest

const raceEnabled = false

func raceErrors() int { return 0 }
