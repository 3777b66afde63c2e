package labrpc

// MethodStats counts messages. Copies that the network made are not among those Sent, but are among those Delivered.
type MethodStats struct {
	Sent       int
	Delivered  int
	Lost       int
	Duplicated int
	Bytes      int // of the messages sent, encoded; counted only with Options.CountBytes
}

// Add returns the sum of both.
func (s MethodStats) Add(o MethodStats) MethodStats {
	s.Sent += o.Sent
	s.Delivered += o.Delivered
	s.Lost += o.Lost
	s.Duplicated += o.Duplicated
	s.Bytes += o.Bytes
	return s
}

// Sub returns what was counted since an earlier reading.
func (s MethodStats) Sub(o MethodStats) MethodStats {
	o.Sent, o.Delivered, o.Lost, o.Duplicated, o.Bytes = -o.Sent, -o.Delivered, -o.Lost, -o.Duplicated, -o.Bytes
	return s.Add(o)
}

// Stats returns the counts of the messages that match: all of them for the zero Match. What an adversary
// injected does not count.
func (net *Network) Stats(match Match) MethodStats {
	net.lock()
	defer net.mu.Unlock()
	var sum MethodStats
	net.eachStream(func(l *linkState, k streamKey, s *stream) {
		m := message{from: l.from, to: l.to, method: k.method, kind: k.kind}
		if k.kind == OneWay || k.kind == Request || k.kind == Reply {
			if match.matches(&m) {
				sum = sum.Add(s.stats)
			}
		}
	})
	return sum
}

// Methods returns the names of all methods that a message was sent for, sorted.
func (net *Network) Methods() []string {
	net.lock()
	defer net.mu.Unlock()
	names := map[string]bool{}
	net.eachStream(func(_ *linkState, k streamKey, _ *stream) { names[k.method] = true })
	return sortedKeys(names)
}

func (net *Network) eachStream(f func(*linkState, streamKey, *stream)) {
	for _, row := range net.links[1:] {
		for _, l := range row[1:] {
			for k, s := range l.streams {
				f(l, k, s)
			}
		}
	}
}
