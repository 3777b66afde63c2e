package disk

import (
	"bufio"
	"encoding/binary"
	"hash/crc32"
	"io"
)

// A record of the log is the length of its payload and the payload's checksum (CRC-32C), 4 bytes each, big-endian, and the payload:
// 'w' or 'd' (written or deleted), the length of the name, the name, the data.
const headerSize = 8

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func encodeRecord(name string, data []byte) []byte {
	b := make([]byte, headerSize, headerSize+1+binary.MaxVarintLen64+len(name)+len(data))
	kind := byte('w')
	if data == nil {
		kind = 'd'
	}
	b = append(b, kind)
	b = binary.AppendUvarint(b, uint64(len(name)))
	b = append(append(b, name...), data...)
	binary.BigEndian.PutUint32(b[:4], uint32(len(b)-headerSize))
	binary.BigEndian.PutUint32(b[4:8], crc32.Checksum(b[headerSize:], castagnoli))
	return b
}

// readLog calls f for each record, and returns how long the whole ones are together. What comes after the last whole record is what
// a crash has left of one that was being written.
func readLog(r io.Reader, f func(name string, data []byte)) (size int64, err error) {
	in := bufio.NewReader(r)
	for {
		var header [headerSize]byte
		if _, err := io.ReadFull(in, header[:]); err != nil {
			return size, unlessShort(err)
		}
		payload, err := io.ReadAll(io.LimitReader(in, int64(binary.BigEndian.Uint32(header[:4]))))
		if err != nil {
			return size, err
		}
		name, data, ok := decodeRecord(header, payload)
		if !ok {
			return size, nil
		}
		f(name, data)
		size += int64(headerSize + len(payload))
	}
}

func decodeRecord(header [headerSize]byte, payload []byte) (name string, data []byte, ok bool) {
	if len(payload) == 0 || len(payload) != int(binary.BigEndian.Uint32(header[:4])) ||
		crc32.Checksum(payload, castagnoli) != binary.BigEndian.Uint32(header[4:]) {
		return "", nil, false
	}
	length, n := binary.Uvarint(payload[1:])
	if n <= 0 || length > uint64(len(payload)-1-n) {
		return "", nil, false
	}
	rest := payload[1+n:]
	name, data = string(rest[:length]), rest[length:]
	switch payload[0] {
	case 'w':
		return name, append([]byte{}, data...), true
	case 'd':
		return name, nil, len(data) == 0
	}
	return "", nil, false
}

func unlessShort(err error) error {
	if err == io.EOF || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}
