package tcp

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"github.com/fxamacker/cbor/v2"

	"distlabs/labrpc"
)

// A frame is the length of its payload and the payload's checksum (CRC-32C), 4 bytes each, big-endian, and the payload.
const headerSize = 8

// maxFrame bounds a payload: a snapshot travels in one piece.
const maxFrame = 64 << 20

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

var (
	errTooLong  = fmt.Errorf("the frame is longer than %d bytes", maxFrame)
	errChecksum = errors.New("the frame does not match its checksum")
)

// writeFrame writes one frame.
func writeFrame(w io.Writer, payload []byte) error {
	if len(payload) > maxFrame {
		return errTooLong
	}
	var header [headerSize]byte
	binary.BigEndian.PutUint32(header[:4], uint32(len(payload)))
	binary.BigEndian.PutUint32(header[4:], crc32.Checksum(payload, castagnoli))
	if _, err := w.Write(header[:]); err != nil {
		return err
	}
	_, err := w.Write(payload)
	return err
}

// readFrame reads one frame of at most limit bytes. Memory grows with what has arrived, not with what the header promises.
func readFrame(r *bufio.Reader, limit int) ([]byte, error) {
	var header [headerSize]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(header[:4])
	if int64(size) > int64(limit) {
		return nil, errTooLong
	}
	payload, err := readSome(r, int(size))
	if err != nil {
		return nil, err
	}
	if crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(header[4:]) {
		return nil, errChecksum
	}
	return payload, nil
}

// step is how much memory a frame gets before its bytes arrive.
const step = 1 << 20

func readSome(r io.Reader, size int) ([]byte, error) {
	var b []byte
	for len(b) < size {
		n := min(step, size-len(b))
		b = append(b, make([]byte, n)...)
		if _, err := io.ReadFull(r, b[len(b)-n:]); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// A packet is a labrpc.Packet on the wire: an array, without the names of its fields.
type packet struct {
	_                   struct{} `cbor:",toarray"`
	Kind                labrpc.MessageKind
	From, To            labrpc.NodeID
	Method              string
	Number, ID, ReplyTo uint64
	Type                string
	Body                []byte
	Refused             labrpc.Refusal
}

func encodePacket(p labrpc.Packet) ([]byte, error) {
	return cbor.Marshal(packet{
		Kind: p.Kind, From: p.From, To: p.To, Method: p.Method, Number: p.Number, ID: p.ID, ReplyTo: p.ReplyTo,
		Type: p.Type, Body: p.Body, Refused: p.Refused,
	})
}

func decodePacket(data []byte) (labrpc.Packet, error) {
	var p packet
	if err := cbor.Unmarshal(data, &p); err != nil {
		return labrpc.Packet{}, err
	}
	return labrpc.Packet{
		Kind: p.Kind, From: p.From, To: p.To, Method: p.Method, Number: p.Number, ID: p.ID, ReplyTo: p.ReplyTo,
		Type: p.Type, Body: p.Body, Refused: p.Refused,
	}, nil
}

// A hello is what the process that dials says first.
type hello struct {
	Speaks  string // protocolName
	Version string // of the program, the student's files included
	Process string // the dialling process
}

// A welcome answers it. Refused is a sentence, or "" if the connection stands.
type welcome struct {
	Refused string
}

const protocolName = "distlabs live 1"

func writeValue(w io.Writer, v any) error {
	b, err := cbor.Marshal(v)
	if err != nil {
		return err
	}
	return writeFrame(w, b)
}

// readValue reads a hello or a welcome, which are short.
func readValue(r *bufio.Reader, v any) error {
	b, err := readFrame(r, 4096)
	if err != nil {
		return err
	}
	return cbor.Unmarshal(b, v)
}
