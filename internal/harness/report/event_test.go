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

// Of two measures of one name, the one that is nearer to its own bound is shown, with that bound.
func TestWorst(t *testing.T) {
	for _, tc := range []struct{ a, b, want Measure }{
		{Measure{Value: 3}, Measure{Value: 4}, Measure{Value: 4}},
		{Measure{Value: 4}, Measure{Value: 3}, Measure{Value: 4}},
		{Measure{Value: 3, Bound: "≥ 2"}, Measure{Value: 4, Bound: "≥ 2"}, Measure{Value: 3, Bound: "≥ 2"}},
		{Measure{Value: 4, Bound: "≥ 2"}, Measure{Value: 3, Bound: "≥ 2"}, Measure{Value: 3, Bound: "≥ 2"}},
		{Measure{Value: 436, Bound: "≤ 440"}, Measure{Value: 336, Bound: "≤ 340"}, Measure{Value: 436, Bound: "≤ 440"}},
		{Measure{Value: 338, Bound: "≤ 340"}, Measure{Value: 336, Bound: "≤ 440"}, Measure{Value: 338, Bound: "≤ 340"}},
		{Measure{Value: 400, Bound: "≤ 440"}, Measure{Value: 336, Bound: "≤ 340"}, Measure{Value: 336, Bound: "≤ 340"}},
		{Measure{Value: 50, Bound: "≥ 40"}, Measure{Value: 60, Bound: "≥ 59"}, Measure{Value: 60, Bound: "≥ 59"}},
		{Measure{Value: 1, Bound: "≤ 0"}, Measure{Value: 0, Bound: "≤ 0"}, Measure{Value: 1, Bound: "≤ 0"}},
		{Measure{Value: 500, Bound: "≤ the limit"}, Measure{Value: 300, Bound: "≤ the limit"}, Measure{Value: 500, Bound: "≤ the limit"}},
	} {
		require.Equal(t, tc.want, Worst(tc.a, tc.b), "%+v", tc)
	}
}
