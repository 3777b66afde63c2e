package report

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMeasuresAreReadable(t *testing.T) {
	for value, want := range map[float64]string{
		0: "0", 12345678: "12345678", 902: "902", 7.5: "7.5", 1.749: "1.75", 0.0625: "0.062", 2.70: "2.7", 33.3333: "33.3", 1234.5: "1234", -2.5: "-2.5",
	} {
		require.Equal(t, want, Measure{Value: value}.Number())
	}
}
