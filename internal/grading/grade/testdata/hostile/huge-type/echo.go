package echo

// Echo has an array that no machine's addresses reach.
func Echo(s string) string {
	var huge [1 << 62]byte
	return string(huge[:len(s)])
}
