package wire

// Fault is what is wrong with a message; None is nothing. A number and not an
// error, since the parser tells it with every head.
type Fault uint8

// The faults, in the order in which a message is read.
const (
	None Fault = iota
	FaultMethod
	FaultMethodLong
	FaultTarget
	FaultTargetLong
	FaultVersion
	FaultVersionUnknown
	FaultStatus
	FaultBareCR
	FaultBareLF
	FaultFold
	FaultName
	FaultNameSpace
	FaultValue
	FaultHeadLong
	FaultFieldMany
	FaultHostMissing
	FaultHostMany
	FaultHost
	FaultLength
	FaultLengthMany
	FaultLengthAndCoding
	FaultCoding
	FaultCodingUnknown
	FaultCodingVersion
	FaultConnection
	FaultConnectBody
	FaultUpgrade
	FaultChunkSize
	FaultChunkExtension
	FaultChunkEnd
	FaultTrailersLong
	FaultBodyLong
	FaultTimeout
	faultCount
)

type faultText struct {
	status int
	text   string
}

//nolint:gochecknoglobals // a lookup table
var faultTexts = [faultCount]faultText{
	None:                 {200, "nothing"},
	FaultMethod:          {400, "the method is not a token"},
	FaultMethodLong:      {501, "the method is longer than any that is known"},
	FaultTarget:          {400, "the request target is invalid"},
	FaultTargetLong:      {414, "the request target is too long"},
	FaultVersion:         {400, "the protocol version is invalid"},
	FaultVersionUnknown:  {505, "the protocol version is not supported"},
	FaultStatus:          {400, "the status line is invalid"},
	FaultBareCR:          {400, "a CR without LF"},
	FaultBareLF:          {400, "a LF without CR"},
	FaultFold:            {400, "a line that begins with white space"},
	FaultName:            {400, "a field name is not a token"},
	FaultNameSpace:       {400, "white space between field name and colon"},
	FaultValue:           {400, "a control character in a field value"},
	FaultHeadLong:        {431, "the head is too long"},
	FaultFieldMany:       {431, "the head has too many fields"},
	FaultHostMissing:     {400, "Host is missing"},
	FaultHostMany:        {400, "more than one Host"},
	FaultHost:            {400, "Host is invalid"},
	FaultLength:          {400, "Content-Length is invalid"},
	FaultLengthMany:      {400, "more than one Content-Length"},
	FaultLengthAndCoding: {400, "Content-Length and Transfer-Encoding together"},
	FaultCoding:          {400, "Transfer-Encoding does not end with chunked"},
	FaultCodingUnknown:   {501, "a transfer coding that is not supported"},
	FaultCodingVersion:   {400, "Transfer-Encoding in HTTP/1.0"},
	FaultConnection:      {400, "Connection names a field that is for all recipients"},
	FaultConnectBody:     {400, "CONNECT with a body"},
	FaultUpgrade:         {400, "101 without the protocol that was asked for"},
	FaultChunkSize:       {400, "a chunk size is invalid"},
	FaultChunkExtension:  {400, "a chunk extension is invalid or too long"},
	FaultChunkEnd:        {400, "a chunk does not end where it should"},
	FaultTrailersLong:    {431, "the trailers are too long"},
	FaultBodyLong:        {413, "the body is too long"},
	FaultTimeout:         {408, "the head did not come in time"},
}

// Status is the status with which a server refuses such a request.
func (f Fault) Status() int { return faultTexts[f%faultCount].status }

// String says it to people.
func (f Fault) String() string { return faultTexts[f%faultCount].text }
