package marked

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTextsAreFoundWhereverTheyAre(t *testing.T) {
	type inner struct {
		hidden [9]byte
		At     time.Time
	}
	type body struct {
		Texts []string
		Any   any
		By    map[string][]byte
		Next  *body
	}
	in := inner{At: time.Now()}
	copy(in.hidden[:], Text(3))
	value := body{
		Texts: []string{Text(0), "a<00001>b<0000" + Text(2), "<0000x>", "<000001>", "<>"},
		Any:   in,
		By:    map[string][]byte{"<00004>": []byte(Text(99999))},
		Next:  &body{Texts: []string{Text(2), "a" + Short(17) + "<<8>"}},
	}
	require.Equal(t, []int{0, 1, 2, 3, 4, 99999, 2, 17, 8}, In(value))
	require.Empty(t, In(nil))
	require.Empty(t, In(17))
}

func TestNumber(t *testing.T) {
	require.Equal(t, 12, Number([]byte(Text(12))))
	require.Equal(t, 12, Number([]byte(Text(12)+" and more")))
	require.Equal(t, 0, Number([]byte(Short(0))))
	require.Equal(t, 99999, Number([]byte(Short(99999))))
	for _, none := range []string{"", "12", "<00012", " <00012>", "<0-012>", "<000012>"} {
		require.Equal(t, -1, Number([]byte(none)), none)
	}
}
