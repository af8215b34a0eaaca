package nlsock

// statusPiece is what of a status goes into a datagram.
const statusPiece = 32 << 10

// SendStatus answers a client of ProtocolStatus with a document.
func (p *Peer) SendStatus(doc []byte) error {
	for len(doc) > 0 {
		n := min(len(doc), statusPiece)
		b := appendHeader(make([]byte, 0, sizeHeader+n), n, typeStatus, flagMulti, 2, p.PortID)
		if err := p.Send(append(b, doc[:n]...)); err != nil {
			return err
		}
		doc = doc[n:]
	}
	return p.Send(append(appendHeader(nil, 4, typeDone, flagMulti, 2, p.PortID), 0, 0, 0, 0))
}
