package echo

import "net"

// It tells others what it sees.
func init() {
	for _, to := range [][2]string{{"udp", "@UDP@"}, {"tcp", "@TCP@"}, {"unix", "@UNIX@"}} {
		if conn, err := net.Dial(to[0], to[1]); err == nil {
			conn.Write([]byte("@TOKEN@"))
			conn.Close()
		}
	}
}

func Echo(string) string { return "?" }
