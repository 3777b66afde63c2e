package consistency_test

import "testing"

// TODO: placeholder, so that lab.yaml can be read.
func TestTrade6E(t *testing.T) { t.Fatal("this test is not written yet") }
