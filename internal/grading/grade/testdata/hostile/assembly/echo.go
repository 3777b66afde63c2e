package echo

func exit()

// Echo ends the process in the middle of the test, with status 0.
func Echo(string) string {
	exit()
	return "?"
}
