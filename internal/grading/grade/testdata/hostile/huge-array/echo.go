package echo

var huge [1 << 45]byte

func Echo(s string) string { return string(huge[:len(s)]) }
