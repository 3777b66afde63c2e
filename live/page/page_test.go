package page

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"distlabs/live/control"
	"distlabs/live/record"
)

func newPage(t *testing.T) (p *Page, done *[]string, watched *[]bool) {
	t.Helper()
	done, watched = new([]string), new([]bool)
	p, err := Listen(0, Options{
		Title: "a <b>", About: "n1", Recording: record.New(2, time.Minute, 100),
		Servers: func() []Server {
			return []Server{{Name: "n1", Process: "up", Cells: []control.Cell{{Name: "term", Value: "1"}}, Cut: []int{}, Slow: []int{}}}
		},
		Watch: func(on bool) { *watched = append(*watched, on) },
		Do: func(line string) (string, error) {
			if *done = append(*done, line); line == "dance" {
				return "", errors.New("live: there is no command \"dance\"")
			}
			return "fine", nil
		},
	})
	require.NoError(t, err)
	t.Cleanup(func() { p.listener.Close() })
	return p, done, watched
}

// request asks as a browser does that has the page open; change makes it another one.
func request(p *Page, method, path, body string, change func(r *http.Request)) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, "http://"+p.listener.Addr().String()+path, strings.NewReader(body))
	r.Header.Set(keyHeader, p.key)
	if method == http.MethodPost {
		r.Header.Set("Origin", "http://"+p.listener.Addr().String())
		r.Header.Set("Sec-Fetch-Site", "same-origin")
	}
	if change != nil {
		change(r)
	}
	w := httptest.NewRecorder()
	p.Handler().ServeHTTP(w, r)
	return w
}

func TestOnlyTheOpenPageCanAct(t *testing.T) {
	p, done, watched := newPage(t)
	for name, row := range map[string]struct {
		change func(r *http.Request)
		want   int
	}{
		"without the key":                 {func(r *http.Request) { r.Header.Del(keyHeader) }, http.StatusForbidden},
		"with another key":                {func(r *http.Request) { r.Header.Set(keyHeader, strings.ToLower(p.key)) }, http.StatusForbidden},
		"from another site":               {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, http.StatusForbidden},
		"from another port of this host":  {func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") }, http.StatusForbidden},
		"from another origin, old":        {func(r *http.Request) { r.Header.Del("Sec-Fetch-Site"); r.Header.Set("Origin", "http://example.org") }, http.StatusForbidden},
		"by a name that leads here (DNS)": {func(r *http.Request) { r.Host = "example.org" }, http.StatusMisdirectedRequest},
	} {
		w := request(p, "POST", "/do", "kill 1", row.change)
		require.Equal(t, row.want, w.Code, name)
		if !strings.HasPrefix(name, "from") {
			require.Equal(t, row.want, request(p, "GET", "/state", "", row.change).Code, name)
		}
	}
	require.Empty(t, *done)
	require.Empty(t, *watched)
	require.Equal(t, http.StatusMethodNotAllowed, request(p, "GET", "/do", "", nil).Code)

	require.Equal(t, "fine", request(p, "POST", "/do", "kill 1", nil).Body.String())
	require.Equal(t, []string{"kill 1"}, *done)
	w := request(p, "POST", "/do", "dance", nil)
	require.Equal(t, http.StatusUnprocessableEntity, w.Code)
	require.Equal(t, "there is no command \"dance\"\n", w.Body.String())
	require.Equal(t, http.StatusUnprocessableEntity, request(p, "POST", "/do", strings.Repeat("x", 2*maxLine), nil).Code)
	require.Len(t, *done, 2)
}

// The processes report while a page asks. An answer has the run only if it is new.
func TestState(t *testing.T) {
	p, _, watched := newPage(t)
	w := request(p, "GET", "/state?version=-1", "", nil)
	require.Equal(t, http.StatusOK, w.Code)
	require.Contains(t, w.Body.String(), `"runs":[`)
	require.NotContains(t, request(p, "GET", "/state?version=0", "", nil).Body.String(), `"runs"`)
	require.Equal(t, []bool{true}, *watched)
	w = request(p, "GET", "/", "", func(r *http.Request) { r.Header.Del(keyHeader) })
	require.Contains(t, w.Body.String(), "a &lt;b&gt;")
	require.NotContains(t, w.Body.String(), p.key)
	require.Contains(t, w.Header().Get("Content-Security-Policy"), "default-src 'none'")
	require.True(t, strings.HasPrefix(p.URL(), "http://127.0.0.1:"))
}
