package echo

import (
	"fmt"
	"strings"
)

// Echo prints 100 MB.
func Echo(s string) string {
	for range 1000 {
		fmt.Println(strings.Repeat("x", 100_000))
	}
	return s
}
