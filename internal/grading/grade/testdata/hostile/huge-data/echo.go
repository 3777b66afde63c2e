package echo

var huge = [1 << 30]byte{1<<30 - 1: 1}

func Echo(s string) string { return s + string(huge[len(s):len(s)]) }
