/* SPDX-License-Identifier: Apache-2.0 */
/* The exchanges of HTTP/2: a request enters its context by client and stream, and the first header block that the server
 * sends on that stream finds it.
 */

/* How far numbers of one connection may be apart. Another connection is as near by chance with a likelihood of the square of that
 * part of 2^32: it may be one from the same port to another server, where DNAT hides which; or a later one to the same server,
 * where the request was given up, and the stream's new request is not traced.
 */
#define SAME_SERVER_REACH  (1U << 29)
#define OTHER_SERVER_REACH (1U << 27)

/* The key of an exchange. `stream` takes the place of a sequence number; the direction tells it from those of HTTP/1. */
static __always_inline struct transit_key stream_key(__u32 address, __u16 port, __u8 family, __u32 stream)
{
	struct transit_key key = {};

	key.address = address;
	key.port = port;
	key.seq = stream;
	key.direction = STREAM_RESPONSE;
	key.family = family;
	return key;
}

static __always_inline struct exchange *find_stream(const struct transit_key *key, __u64 **where)
{
	__u64 hash = hash_key(key);
	struct tag_set *set = exchange_set(hash);

	return set ? find_exchange(set, key, hash, where) : 0;
}

/* Enters the exchange of a request whose frame begins at `seq` (network order). Returns 0 where the request is to be left
 * alone: it is a repetition within one tick of TSval.
 */
static __always_inline int enter_stream(struct workspace *work, __u32 seq, __u32 stream)
{
	const struct message *message = &work->message;
	struct transit_key answer = stream_key(message->source, message->source_port, message->family, stream);
	struct transit_key request = {.seq = seq, .tsval = message->tsval};
	__u64 hash = hash_key(&answer), *where = 0;
	struct tag_set *set = exchange_set(hash);

	if (!set)
		return 1;
	work->server = server_of(message);
	struct exchange *known = find_exchange(set, &answer, hash, &where);
	if (!known) {
		add_exchange(set, &answer, hash, &request, work);
		return 1;
	}
	if (known->request_seq == seq) {
		if (known->request_tsval == message->tsval) {
			count(REPEATED);
			return 0;
		}
		known->request_tsval = message->tsval;
		known->resent = count_sending(known->resent);
		note_earlier(work, known->resent);
		return 1;
	}
	/* Streams are not used twice: this is a connection from the same port, later, or to another server. */
	known->request_seq = seq;
	known->request_tsval = message->tsval;
	known->request_ack = message->ack;
	known->server = work->server;
	known->response_tsval = 0;
	known->answered = 0;
	known->resent = 0;
	known->context = work->context;
	return 1;
}

/* Whether what the server sends belongs to the connection of the request: it acknowledges the request, and goes on behind what
 * the request acknowledged. One client port may have connections to several servers at once, and streams have the same
 * numbers on all of them; their sequence numbers are drawn at random.
 */
static __always_inline int is_same_connection(const struct exchange *exchange, const struct message *message)
{
	__u32 sent = bpf_ntohl(message->ack) - bpf_ntohl(exchange->request_seq);
	__u32 received = bpf_ntohl(message->seq) - bpf_ntohl(exchange->request_ack);

	__u32 from = message->source * SERVER_FACTOR + message->source_port; /* as server_of has it */
	__u32 reach = exchange->server == from ? SAME_SERVER_REACH : OTHER_SERVER_REACH;

	return sent && sent < reach && received < reach;
}

/* Finds the exchange that a frame of the server belongs to, and reads its context into the workspace. */
static __always_inline struct exchange *read_stream(struct workspace *work, __u32 stream, __u64 **where)
{
	const struct message *message = &work->message;
	struct transit_key answer =
		stream_key(message->destination, message->destination_port, message->family, stream);
	struct exchange *exchange = find_stream(&answer, where);

	if (!exchange || !is_same_connection(exchange, message))
		return 0;
	work->context = exchange->context;
	asm volatile("" ::: "memory");
	return same_key(&exchange->key, &answer) ? exchange : 0;
}

/* Marks the exchange as answered: such ones give way first. */
static __always_inline void mark_answered(struct exchange *exchange, __u64 *where, __u32 seq, __u32 tsval)
{
	__u64 tag = READ_AGAIN(*where);

	exchange->answered = count_sending(exchange->answered);
	exchange->response_seq = seq;
	exchange->response_tsval = tsval;
	if (tag >> TAG_HASH_SHIFT == hash_key(&exchange->key) >> TAG_HASH_SHIFT)
		__sync_val_compare_and_swap(where, tag, tag | TAG_MARK);
}

/* Ends the exchange of a stream that either side reset, before it was answered. */
static __always_inline void reset_stream(struct workspace *work, __u32 stream)
{
	const struct message *message = &work->message;
	struct transit_key of_client = stream_key(message->source, message->source_port, message->family, stream);
	__u64 *where = 0;
	struct exchange *exchange = read_stream(work, stream, &where);

	if (!exchange) {
		__u32 seq = seq_at(message, work->segment.at);
		exchange = find_stream(&of_client, &where);
		if (!exchange || seq - bpf_ntohl(exchange->request_seq) >= OTHER_SERVER_REACH)
			return; /* or it is that of an earlier connection from the port */
	}
	if (exchange->answered)
		return;
	mark_answered(exchange, where, 0, 0);
	count(HTTP2_RESET);
}
