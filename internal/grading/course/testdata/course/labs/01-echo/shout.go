package echo

// Shout returns s in capital letters.
func Shout(s string) string {
	// TODO(1B): shout.
	return "?"
}
