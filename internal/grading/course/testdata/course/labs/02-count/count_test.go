package count

import (
	"sync"
	"testing"

	"distlabs/internal/harness/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }

func TestCounts2A(t *testing.T) {
	labtest.Run(t, func(seed uint64) (string, string) {
		var c Counter
		c.Add()
		return c.Value(), wrong(&c, "1")
	})
}

func TestFromManyGoroutines2A(t *testing.T) {
	labtest.Run(t, func(seed uint64) (string, string) {
		var c Counter
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(c.Add)
		}
		wg.Wait()
		return c.Value(), wrong(&c, "4")
	})
}

func wrong(c *Counter, want string) string {
	if got := c.Value(); got != want {
		return "Value() = " + got + ", want " + want
	}
	return ""
}
