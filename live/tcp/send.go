package tcp

import (
	"bufio"
	"context"
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"time"

	"distlabs/labrpc"
)

const (
	// queueLength and queueAge bound what waits for a connection: more, or older, is lost.
	queueLength = 4096
	queueAge    = time.Second

	handshakeTime = 5 * time.Second // for TLS and the two greetings
	writeTime     = 5 * time.Second // a peer that takes nothing for so long, although TCP's buffers are full, is dropped

	firstPause = 10 * time.Millisecond // between two attempts to connect; it doubles up to lastPause
	lastPause  = 250 * time.Millisecond
)

// A sender keeps the one connection on which this process sends to another.
type sender struct {
	carrier *Carrier
	process string
	address string
	queue   chan queued
	back    chan struct{} // the process has just connected to this one: it is up
}

type queued struct {
	since  time.Time
	packet labrpc.Packet
}

func newSender(c *Carrier, process, address string) *sender {
	return &sender{carrier: c, process: process, address: address, queue: make(chan queued, queueLength), back: make(chan struct{}, 1)}
}

// push reports whether there was room.
func (s *sender) push(p labrpc.Packet) bool {
	select {
	case s.queue <- queued{time.Now(), p}:
		return true
	default:
		return false
	}
}

// run connects again and again.
func (s *sender) run() {
	ctx := s.carrier.ctx
	wait := s.carrier.opts.firstPause
	last := ""
	for ctx.Err() == nil {
		conn, err := s.dial(ctx)
		if err == nil {
			s.carrier.opts.Log.Info("connected", "to", s.process)
			wait, last = s.carrier.opts.firstPause, ""
			err = s.pump(conn)
		}
		if ctx.Err() == nil && err != nil && err.Error() != last {
			last = err.Error() // once, not at every attempt
			s.carrier.opts.Log.Warn("no connection", "to", s.process, "error", err)
		}
		// With a random part, so that processes which lost each other together do not meet again and again.
		timer := time.NewTimer(wait/2 + rand.N(wait))
		select {
		case <-timer.C:
			wait = min(2*wait, lastPause)
		case <-s.back:
			wait = s.carrier.opts.firstPause
		case <-ctx.Done():
		}
		timer.Stop()
	}
}

// isBack ends the pause before the next attempt. A process that has been restarted connects to all others at once; if these waited
// longer than its election timeout before they connect to it, their votes would come after its election.
func (s *sender) isBack() {
	select {
	case s.back <- struct{}{}:
	default:
	}
}

// dial makes a connection and greets.
func (s *sender) dial(ctx context.Context) (*tls.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshakeTime)
	defer cancel()
	raw, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
	if err != nil {
		return nil, err
	}
	config := s.carrier.opts.TLS.Clone()
	config.ServerName = s.process // the certificate must be of the process that we mean
	conn := tls.Client(raw, config)
	if err := s.greet(ctx, conn); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (s *sender) greet(ctx context.Context, conn *tls.Conn) error {
	if err := conn.HandshakeContext(ctx); err != nil {
		return err
	}
	_ = conn.SetDeadline(time.Now().Add(handshakeTime))
	h := hello{Speaks: protocolName, Version: s.carrier.opts.Version, Process: s.carrier.opts.Process}
	if err := writeValue(conn, h); err != nil {
		return err
	}
	var w welcome
	if err := readValue(bufio.NewReader(conn), &w); err != nil {
		return err
	}
	if w.Refused != "" {
		return fmt.Errorf("%s refused the connection: %s", s.process, w.Refused)
	}
	return conn.SetDeadline(time.Time{})
}

// pump writes what is queued until the connection breaks.
func (s *sender) pump(conn *tls.Conn) error {
	ctx, cancel := context.WithCancel(s.carrier.ctx)
	defer cancel()
	defer conn.Close()
	s.carrier.all.Go(func() {
		// The receiver says nothing more: this read ends when the connection does, also while we have nothing to write.
		defer cancel()
		_, _ = conn.Read(make([]byte, 1))
	})
	w := bufio.NewWriterSize(syncing{conn, s.carrier.opts.Stores}, 64<<10)
	for {
		select {
		case q := <-s.queue:
			_ = conn.SetWriteDeadline(time.Now().Add(writeTime))
			if err := s.write(w, q); err != nil {
				return err
			}
			if len(s.queue) == 0 {
				if err := w.Flush(); err != nil {
					return err
				}
			}
		case <-ctx.Done():
			return fmt.Errorf("%s closed the connection", s.process)
		}
	}
}

// A syncer is a store that has part of what was written not yet on stable storage.
type syncer interface{ Sync() error }

// syncing writes to a connection what the disks of this process know durably: nothing that a node has done leaves before.
type syncing struct {
	*tls.Conn
	stores map[labrpc.NodeID]labrpc.Store
}

func (w syncing) Write(b []byte) (int, error) {
	for _, store := range w.stores {
		if s, ok := store.(syncer); ok {
			if err := s.Sync(); err != nil {
				return 0, err
			}
		}
	}
	return w.Conn.Write(b)
}

// write writes one packet; a packet that is too old or too long is lost.
func (s *sender) write(w *bufio.Writer, q queued) error {
	if time.Since(q.since) > queueAge {
		s.carrier.lost.Add(1)
		return nil
	}
	b, err := encodePacket(q.packet)
	if err == nil && len(b) > maxFrame {
		err = errTooLong
	}
	if err != nil {
		s.carrier.lost.Add(1)
		s.carrier.opts.Log.Warn("a packet cannot be sent", "to", s.process, "method", q.packet.Method, "error", err)
		return nil
	}
	return writeFrame(w, b)
}
