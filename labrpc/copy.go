package labrpc

import (
	"fmt"
	"reflect"
	"sync"
	"time"
	"unsafe"
)

// maxDepth bounds how deep a value may nest: a deeper one is taken for a cycle.
const maxDepth = 64

// A plan says how to copy a value of one type so that sender and receiver
// share nothing. It is made once a type.
type plan struct {
	typ  reflect.Type
	size uintptr
	ops  []copyOp
	maps bool // some part is a map, which only package reflect can build
	err  error
}

// A copyOp copies one part of a value, at an offset from its start.
type copyOp struct {
	kind opKind
	off  uintptr
	size uintptr      // opRaw
	elem *plan        // opPtr, opSlice, opArray
	n    int          // opArray: how many
	typ  reflect.Type // opPtr, opMap, opSlice: the whole part's type
}

type opKind uint8

const (
	opRaw    opKind = iota // memory without pointers
	opString               // the bytes of a string never change: share them
	opBytes                // a slice of elements without pointers, of size 1
	opSlice
	opPtr
	opArray
	opMap
	opTime
)

var (
	plans    sync.Map // reflect.Type → *plan
	timeType = reflect.TypeFor[time.Time]()
)

// planFor returns the plan for t. A type that cannot travel has a plan with err set.
func planFor(t reflect.Type) *plan {
	if p, ok := plans.Load(t); ok {
		return p.(*plan)
	}
	p := newPlan(t, map[reflect.Type]*plan{})
	raceRelease(unsafe.Pointer(p)) // the dispatcher reads it without a lock: see message.acquire
	got, _ := plans.LoadOrStore(t, p)
	return got.(*plan)
}

// newPlan builds a plan; making holds those under way, for types that contain themselves.
func newPlan(t reflect.Type, making map[reflect.Type]*plan) *plan {
	if p, ok := making[t]; ok {
		return p
	}
	p := &plan{typ: t, size: t.Size()}
	making[t] = p
	p.err = p.add(t, 0, t.String(), making)
	return p
}

// add appends the operations for a part of type t at offset off. The name
// says where in the whole value the part is, for the error.
func (p *plan) add(t reflect.Type, off uintptr, name string, making map[reflect.Type]*plan) error {
	if t == timeType {
		p.ops = append(p.ops, copyOp{kind: opTime, off: off})
		return nil
	}
	switch t.Kind() {
	case reflect.String:
		p.ops = append(p.ops, copyOp{kind: opString, off: off})
	case reflect.Struct:
		return p.addFields(t, off, name, making)
	case reflect.Slice:
		elem := newPlan(t.Elem(), making)
		kind := opSlice
		if t.Elem().Kind() == reflect.Uint8 {
			kind = opBytes
		}
		p.ops = append(p.ops, copyOp{kind: kind, off: off, elem: elem, typ: t})
		return p.inherit(elem)
	case reflect.Pointer:
		elem := newPlan(t.Elem(), making)
		p.ops = append(p.ops, copyOp{kind: opPtr, off: off, elem: elem, typ: t})
		return p.inherit(elem)
	case reflect.Array:
		elem := newPlan(t.Elem(), making)
		p.ops = append(p.ops, copyOp{kind: opArray, off: off, elem: elem, n: t.Len()})
		return p.inherit(elem)
	case reflect.Map:
		key, val := newPlan(t.Key(), making), newPlan(t.Elem(), making)
		p.maps = true
		p.ops = append(p.ops, copyOp{kind: opMap, off: off, typ: t})
		if err := p.inherit(key); err != nil {
			return err
		}
		return p.inherit(val)
	case reflect.Chan, reflect.Func, reflect.Interface, reflect.UnsafePointer, reflect.Uintptr:
		return fmt.Errorf("%s is a %s, which cannot be sent to another machine", name, t.Kind())
	default:
		p.addRaw(off, t.Size())
	}
	return nil
}

func (p *plan) addFields(t reflect.Type, off uintptr, name string, making map[reflect.Type]*plan) error {
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() {
			return fmt.Errorf("field %q of %s would not travel: only fields with a capital letter do", f.Name, name)
		}
		if err := p.add(f.Type, off+f.Offset, name+"."+f.Name, making); err != nil {
			return err
		}
	}
	return nil
}

// addRaw joins neighbours, so that a struct of numbers is one move.
func (p *plan) addRaw(off, size uintptr) {
	if n := len(p.ops); n > 0 && p.ops[n-1].kind == opRaw {
		last := &p.ops[n-1]
		last.size = off + size - last.off
		return
	}
	p.ops = append(p.ops, copyOp{kind: opRaw, off: off, size: size})
}

func (p *plan) inherit(elem *plan) error {
	p.maps = p.maps || elem.maps
	return elem.err
}

// clone returns a pointer to a fresh copy of the value at src, of which the race detector learns nothing.
func (p *plan) clone(src unsafe.Pointer) (unsafe.Pointer, error) {
	dst := reflect.New(p.typ).UnsafePointer()
	return dst, p.copyTo(dst, src, false)
}

// copyTo copies the value at src to dst, which is zero. With tell set the race detector learns that the caller
// read what the value points to; it never learns of the writes to the copy, which nobody else can see yet.
//
//go:norace
func (p *plan) copyTo(dst, src unsafe.Pointer, tell bool) error {
	c := copier{tell: tell && raceEnabled}
	c.value(p, dst, src, 0)
	if c.deep {
		return fmt.Errorf("a %s nests deeper than %d levels: does it contain itself?", p.typ, maxDepth)
	}
	return nil
}

type copier struct {
	tell bool
	deep bool
}

type sliceHeader struct {
	data     unsafe.Pointer
	len, cap int
}

//go:norace
//go:nocheckptr
func (c *copier) value(p *plan, dst, src unsafe.Pointer, depth int) {
	if depth > maxDepth {
		c.deep = true
		return
	}
	for i := range p.ops {
		op := &p.ops[i]
		d, s := unsafe.Add(dst, op.off), unsafe.Add(src, op.off)
		switch op.kind {
		case opRaw:
			moveRaw(d, s, op.size)
		case opString:
			*(*string)(d) = *(*string)(s)
		case opTime:
			*(*time.Time)(d) = (*(*time.Time)(s)).Round(0) // no monotonic reading travels
		case opBytes:
			c.bytes(d, s)
		case opSlice:
			c.slice(op, d, s, depth)
		case opPtr:
			c.pointer(op, d, s, depth)
		case opArray:
			for k := range uintptr(op.n) {
				c.value(op.elem, unsafe.Add(d, k*op.elem.size), unsafe.Add(s, k*op.elem.size), depth+1)
			}
		case opMap:
			c.mapping(op, d, s, depth)
		}
	}
}

//go:norace
//go:nocheckptr
func (c *copier) bytes(d, s unsafe.Pointer) {
	from := *(*[]byte)(s)
	if from == nil {
		return
	}
	if c.tell {
		raceRead(unsafe.Pointer(unsafe.SliceData(from)), uintptr(len(from)))
	}
	to := make([]byte, len(from))
	moveRaw(unsafe.Pointer(unsafe.SliceData(to)), unsafe.Pointer(unsafe.SliceData(from)), uintptr(len(from)))
	*(*[]byte)(d) = to
}

// moveRaw copies n bytes that hold no pointers. The built-in copy would do, but it tells the race
// detector of its writes even where the function around it does not.
//
//go:norace
//go:nocheckptr
func moveRaw(d, s unsafe.Pointer, n uintptr) {
	type chunk [256]byte
	i := uintptr(0)
	for ; i+unsafe.Sizeof(chunk{}) <= n; i += unsafe.Sizeof(chunk{}) {
		*(*chunk)(unsafe.Add(d, i)) = *(*chunk)(unsafe.Add(s, i))
	}
	for ; i+8 <= n; i += 8 {
		*(*uint64)(unsafe.Add(d, i)) = *(*uint64)(unsafe.Add(s, i))
	}
	for ; i < n; i++ {
		*(*byte)(unsafe.Add(d, i)) = *(*byte)(unsafe.Add(s, i))
	}
}

//go:norace
//go:nocheckptr
func (c *copier) slice(op *copyOp, d, s unsafe.Pointer, depth int) {
	from := *(*sliceHeader)(s)
	if from.data == nil {
		return
	}
	if c.tell {
		raceRead(from.data, uintptr(from.len)*op.elem.size)
	}
	to := sliceHeader{data: reflect.MakeSlice(op.typ, from.len, from.len).UnsafePointer(), len: from.len, cap: from.len}
	for k := range uintptr(from.len) {
		c.value(op.elem, unsafe.Add(to.data, k*op.elem.size), unsafe.Add(from.data, k*op.elem.size), depth+1)
	}
	*(*sliceHeader)(d) = to
}

//go:norace
//go:nocheckptr
func (c *copier) pointer(op *copyOp, d, s unsafe.Pointer, depth int) {
	from := *(*unsafe.Pointer)(s)
	if from == nil {
		return
	}
	if c.tell {
		raceRead(from, op.elem.size)
	}
	to := reflect.New(op.elem.typ).UnsafePointer()
	c.value(op.elem, to, from, depth+1)
	*(*unsafe.Pointer)(d) = to
}

// mapping copies a map. Package reflect's writes are instrumented, so a
// message with a map carries an edge from sender to receiver (message.edge).
//
//go:norace
func (c *copier) mapping(op *copyOp, d, s unsafe.Pointer, depth int) {
	word := *(*unsafe.Pointer)(s)
	if word == nil {
		return
	}
	from := reflect.NewAt(op.typ, unsafe.Pointer(&word)).Elem()
	kp, vp := planFor(op.typ.Key()), planFor(op.typ.Elem())
	to := reflect.MakeMapWithSize(op.typ, from.Len())
	for it := from.MapRange(); it.Next(); {
		to.SetMapIndex(c.part(kp, it.Key(), depth), c.part(vp, it.Value(), depth))
	}
	reflect.NewAt(op.typ, d).Elem().Set(to)
}

// part copies one key or value of a map, which has no address of its own.
func (c *copier) part(p *plan, v reflect.Value, depth int) reflect.Value {
	src, dst := reflect.New(p.typ), reflect.New(p.typ)
	src.Elem().Set(v)
	c.value(p, dst.UnsafePointer(), src.UnsafePointer(), depth+1)
	return dst.Elem()
}
