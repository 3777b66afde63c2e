package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"distlabs/internal/harness/check/histfile"
)

// check --page writes the page of an invalid history of transactions, and says why where there is none.
func TestCheckWritesAPage(t *testing.T) {
	dir := t.TempDir()
	history := filepath.Join(dir, "h.edn")
	require.NoError(t, os.WriteFile(history, []byte(`{:type :invoke, :f :txn, :value [[:append x 1]], :process 0}
{:type :fail, :f :txn, :value [[:append x 1]], :process 0}
{:type :invoke, :f :txn, :value [[:r x nil]], :process 1}
{:type :ok, :f :txn, :value [[:r x [1]]], :process 1}
`), 0o644))
	run := func(model, page string) (string, error) {
		m, err := histfile.ModelNamed(model)
		require.NoError(t, err)
		var out bytes.Buffer
		cmd := checkCommand()
		cmd.SetOut(&out)
		err = check(cmd, history, m, histfile.Options{}, page)
		return out.String(), err
	}
	page := filepath.Join(dir, "h.html")
	out, err := run("list-append", page)
	var status *exitError
	require.ErrorAs(t, err, &status)
	require.Equal(t, exitInvalid, status.code)
	require.Contains(t, out, "page: "+page)
	text, err := os.ReadFile(page)
	require.NoError(t, err)
	require.Contains(t, string(text), "aborted read")

	out, err = run("read-uncommitted", filepath.Join(dir, "none.html"))
	require.NoError(t, err)
	require.Contains(t, out, "no page was written: the history is valid")
	require.NoFileExists(t, filepath.Join(dir, "none.html"))
}
