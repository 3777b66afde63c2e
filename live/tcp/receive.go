package tcp

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// receive reads what another process sends, until the connection breaks.
func (c *Carrier) receive(raw net.Conn) {
	defer raw.Close()
	defer context.AfterFunc(c.ctx, func() { raw.Close() })()
	conn := tls.Server(raw, c.opts.TLS)
	r := bufio.NewReaderSize(conn, 64<<10)
	from, err := c.admit(conn, r)
	if err == nil {
		err = c.take(r, from)
	}
	if err != nil && c.ctx.Err() == nil && !errors.Is(err, io.EOF) {
		c.opts.Log.Warn("connection ended", "from", raw.RemoteAddr(), "process", from, "error", err)
	}
}

// admit greets the process that dialled, or tells it why it is refused.
func (c *Carrier) admit(conn *tls.Conn, r *bufio.Reader) (from string, err error) {
	_ = conn.SetDeadline(time.Now().Add(handshakeTime))
	if err := conn.HandshakeContext(c.ctx); err != nil {
		return "", err
	}
	from = conn.ConnectionState().PeerCertificates[0].Subject.CommonName
	var h hello
	if err := readValue(r, &h); err != nil {
		return from, err
	}
	refused := c.refuse(from, h)
	if err := writeValue(conn, welcome{Refused: refused}); err != nil {
		return from, err
	}
	if refused != "" {
		return from, errors.New(refused)
	}
	c.out[from].isBack()
	return from, conn.SetDeadline(time.Time{})
}

// refuse returns why a process is refused, or "".
func (c *Carrier) refuse(from string, h hello) string {
	switch {
	case h.Speaks != protocolName:
		return fmt.Sprintf("%s speaks %q, this process speaks %q", from, h.Speaks, protocolName)
	case h.Process != from:
		return fmt.Sprintf("the process that calls itself %s has the key of %s", h.Process, from)
	case c.out[from] == nil:
		return fmt.Sprintf("%s is not one of the other processes of this cluster", from)
	case h.Version != c.opts.Version:
		return fmt.Sprintf("%s runs version %.12s of the course and its lab, this process runs %.12s: start all processes from one build", from, h.Version, c.opts.Version)
	}
	return ""
}

// take passes packets on. A process may send only in the names of its own nodes.
func (c *Carrier) take(r *bufio.Reader, from string) error {
	for {
		b, err := readFrame(r, maxFrame)
		if err != nil {
			return err
		}
		p, err := decodePacket(b)
		if err != nil {
			return err
		}
		if c.owner[p.From] != from {
			return fmt.Errorf("%s sent in the name of %v, which belongs to %s", from, p.From, c.owner[p.From])
		}
		if err := c.network.Arrive(p); err != nil {
			return err
		}
	}
}
