package abi

import "fmt"

// Message is one message of the control socket, checked as far as its header goes.
type Message struct {
	Type uint16 // MsgHello …
	Body []byte
}

// MessageMax is the size in bytes of the largest message, header included.
const MessageMax = msgHeader + MsgBody

const msgHeader = 16

// AppendMessage appends header and body. Bodies over MsgBody bytes are an error of the caller.
func AppendMessage(dst []byte, typ uint16, body []byte) ([]byte, error) {
	if len(body) > MsgBody {
		return nil, fmt.Errorf("abi: a message of type %d with %d bytes, at most %d fit", typ, len(body), MsgBody)
	}
	dst = Append(dst, Msg{Magic: MsgMagic, Version: AbiVersion, Type: typ, Bytes: uint32(len(body))})
	return append(dst, body...), nil
}

// ParseMessage takes exactly one message. The body is a part of b.
func ParseMessage(b []byte) (Message, error) {
	var h Msg
	body, err := Decode(b, &h)
	switch {
	case err != nil:
		return Message{}, err
	case h.Magic != MsgMagic:
		return Message{}, fmt.Errorf("abi: message with magic %#x, not %#x", h.Magic, uint32(MsgMagic))
	case h.Version != AbiVersion:
		return Message{}, fmt.Errorf("abi: message of version %d, this is version %d: library and supervisor must be of one build", h.Version, AbiVersion)
	case h.Pad != 0:
		return Message{}, fmt.Errorf("abi: message with %#x in its padding", h.Pad)
	case h.Bytes > MsgBody || int(h.Bytes) != len(body):
		return Message{}, fmt.Errorf("abi: message that claims a body of %d bytes and has %d (limit %d)", h.Bytes, len(body), MsgBody)
	}
	return Message{Type: h.Type, Body: body}, nil
}

// messageNames are the names of message types, as the headers have them.
var messageNames = [...]string{
	MsgHello: "HELLO", MsgStart: "START", MsgMapped: "MAPPED", MsgArena: "ARENA", MsgReady: "READY", MsgGo: "GO", MsgSignal: "SIGNAL",
	MsgDiverged: "DIVERGED", MsgAudit: "AUDIT", MsgTrace: "TRACE", MsgStop: "STOP", MsgFatal: "FATAL", MsgEvent: "EVENT",
}

// MessageName is the type's name in the headers, or its number.
func MessageName(typ uint16) string {
	if int(typ) < len(messageNames) && messageNames[typ] != "" {
		return messageNames[typ]
	}
	return fmt.Sprintf("type %d", typ)
}
