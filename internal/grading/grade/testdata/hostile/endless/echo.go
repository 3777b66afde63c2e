package echo

func Echo(s string) string {
	for s != "never" {
	}
	return s
}
