package echo

// Echo asks for 4.8 GB and touches every page.
func Echo(s string) string {
	all := make([]byte, 4_800_000_000)
	for i := 0; i < len(all); i += 4096 {
		all[i] = 1
	}
	return s
}
