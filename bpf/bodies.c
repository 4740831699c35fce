/* SPDX-License-Identifier: Apache-2.0 */
/* The table of bodies: what one side of a connection sends that may begin like a request, and is none.
 *
 * A request with a body, or one that goes on behind its segment, is noted with its sender: the first byte of both ends of the
 * connection that it has to do with, and where it ends. Until the server says more, nothing behind it is a request, or none
 * whose answer could be told from its own; and whatever the server says, nothing before its end is. Where the end is not
 * known, because the body is chunked, its segments are followed until one ends with the last chunk. A full set loses one of
 * its entries, which is then not protected any more.
 */

/* Whether the segment begins with a method and a space: eight bytes hold both of every method that is known. Header names in
 * capitals begin with the same four bytes as some, and segments begin with any line.
 */
static __always_inline int names_method(struct workspace *work)
{
	__u64 x = work->block.words[0] ^ EACH_BYTE(' ');
	__u64 has_space = (x - EACH_BYTE(1)) & ~x & EACH_BYTE(0x80);

	return has_space || READ_AGAIN(work->block.length) < sizeof(x);
}

/* 1 where four bytes are those that a request begins with. Without branches, as classify_payload has them. */
static __always_inline __u64 begins_request(__u64 word)
{
	return is_zero(word ^ WORD('G', 'E', 'T', ' ')) | is_zero(word ^ WORD('P', 'O', 'S', 'T')) |
	       is_zero(word ^ WORD('P', 'U', 'T', ' ')) | is_zero(word ^ WORD('H', 'E', 'A', 'D')) |
	       is_zero(word ^ WORD('D', 'E', 'L', 'E')) | is_zero(word ^ WORD('P', 'A', 'T', 'C')) |
	       is_zero(word ^ WORD('O', 'P', 'T', 'I')) | is_zero(word ^ WORD('C', 'O', 'N', 'N')) |
	       is_zero(word ^ WORD('T', 'R', 'A', 'C'));
}

/* Whether another request begins `length` bytes behind the start of the block, in the same segment (pipelining). */
static __always_inline int hides_request(struct workspace *work, __u64 length)
{
	__u64 index = BOUNDED(length, 2 * HEADER_BLOCK_MAX);

	return length < READ_AGAIN(work->block.length) && begins_request(*(const __u32 *)&work->block.bytes[index]);
}

/* Returns the status of the final response that begins behind the interim one whose header block was walked, in the same
 * segment; 0 where none does.
 */
static __always_inline __u32 read_hidden_status(struct workspace *work)
{
	__u64 index = behind_block(&work->block);
	const __u8 *next = &work->block.bytes[index];
	__u32 status = *(const __u32 *)&next[STATUS_AT] & STATUS_MASK;

	return index && *(const __u32 *)next == WORD('H', 'T', 'T', 'P') && !is_interim(status) ? status : 0;
}

/* The key of whoever sent the message, on this connection: his side, and in place of a number the other. */
static __always_inline struct transit_key sender_key(const struct message *message)
{
	struct transit_key key = request_key(message);

	key.seq = server_of(message);
	key.tsval = 0;
	return key;
}

/* Finds what was noted of the sender. Returns 0 where nothing was. */
static __always_inline struct body *find_body(const struct transit_key *sender)
{
	__u64 hash = hash_key(sender);
	__u64 index = hash % BODY_SETS;
	struct tag_set *set = body_tags.lookup((int *)&index);
	__u64 found = set ? find_way(set, hash) : 0;

	if (!found)
		return 0;
	index = index * TABLE_WAYS + (found & WAY_MASK);
	return bodies.lookup((int *)&index);
}

/* Remembers what was noted. */
static __always_inline void remember_body(struct workspace *work)
{
	__u64 hash = hash_key(&work->sender);
	__u64 index = hash % BODY_SETS;
	struct tag_set *set = body_tags.lookup((int *)&index);

	if (!set)
		return;
	work->found = find_way(set, hash);
	if (!work->found)
		work->found = find_free_way(set);
	if (!work->found)
		work->found = work->body.start;
	__u64 found = READ_AGAIN(work->found) & WAY_MASK;
	index = index * TABLE_WAYS + found;
	struct body *body = bodies.lookup((int *)&index);
	if (!body)
		return;
	*body = work->body;
	WRITE_ONCE(set->tags[found], make_tag(hash, 0));
}

/* Notes the request at the start of the block, if it has a body, or may, or goes on behind the segment. */
static __always_inline void note_request(struct workspace *work, const struct transit_key *key)
{
	struct search_buffer *block = &work->block;
	__u32 start = bpf_ntohl(key->seq);

	if (READ_AGAIN(work->result) == BLOCK_UNREADABLE)
		return;
	__u64 behind = behind_block(block);
	if (!READ_AGAIN(block->wants_body)) {
		if (behind && hides_request(work, behind))
			count(REQUEST_PIPELINED);
		return;
	}
	work->sender = sender_key(&work->message);
	work->body.start = start;
	work->body.ack = work->message.ack;
	work->body.kind = ENDS_UNKNOWN;
	work->goes_on = 1;
	if (!behind) {
		if (may_carry_body(block) && work->segments < SEGMENTS_MAX &&
		    READ_AGAIN(block->length) < HEADER_BLOCK_MAX)
			work->waits = FOR_LENGTH;
		return;
	}
	work->body.kind = read_body_end(block);
	MEETING_POINT();
	__u32 kind = READ_AGAIN(work->body.kind);
	if (kind == GOES_ON)
		work->waits = FOR_END;
	if (kind != ENDS_AT)
		return;
	__u64 length = behind + READ_AGAIN(block->value);
	work->body.end = start + length;
	if (hides_request(work, length))
		count(REQUEST_PIPELINED);
}

/* Notes a response: its body may show requests, as an echo does. Where it switches protocols, it is the client that goes on
 * with what is no HTTP, until it has an answer in that.
 */
static __always_inline void note_response(struct workspace *work, const struct exchange *exchange, int switches)
{
	const struct message *message = &work->message;

	work->goes_on = 1;
	if (switches) {
		work->sender = response_key(&work->first, exchange->server);
		work->sender.direction = REQUEST;
		work->body.start = bpf_ntohl(message->ack) - 1;
		work->body.ack = bpf_htonl(bpf_ntohl(message->seq) + message->payload_length);
		work->body.kind = ENDS_UNKNOWN;
	} else {
		work->sender = sender_key(message);
		work->body.kind = NO_REQUESTS;
	}
}

/* Notes what begins like a response, but has no exchange: as above, unless it may be in the body of a request. */
static __always_inline void note_untraced_response(struct workspace *work)
{
	struct transit_key sender = sender_key(&work->message);
	struct body *body = find_body(&sender);

	if (body) {
		if (body->kind == ANSWERS) {
			body->start = bpf_ntohl(work->message.seq);
			body->ack = work->message.ack;
		}
		return;
	}
	work->goes_on = 1;
	work->sender = sender;
	work->body.start = bpf_ntohl(work->message.seq);
	work->body.ack = work->message.ack;
	work->body.kind = ANSWERS;
}

/* Whether the segment belongs to a message that was sent before: to its body, or to a request that was sent without waiting
 * for the answer (pipelining), whose own could not be told from the other's.
 */
static __always_inline int is_inside_message(const struct workspace *work, const struct transit_key *key)
{
	struct transit_key sender = sender_key(&work->message);
	const struct body *body = find_body(&sender);

	if (!body)
		return 0;
	__u32 kind = body->kind, seq = bpf_ntohl(key->seq);
	if (kind == NO_REQUESTS)
		return 1;
	/* Sequence numbers are compared modulo 2^32 (RFC 9293 section 3.4). */
	if ((__s32)(seq - body->start) <= 0)
		return 0;
	if (body->ack == work->message.ack)
		return 1;
	__s32 beyond = seq - body->end;
	return (kind == ENDS_AT && beyond < 0) || (kind == GOES_ON && beyond <= 0);
}

/* The segment that was awaited came: it goes on with a body whose end is not known, unless the sender has begun another. */
static __always_inline void follow_body(struct workspace *work)
{
	struct transit_key sender = sender_key(&work->message);
	const struct body *body = find_body(&sender);

	if (!body || body->kind != GOES_ON || body->end != bpf_ntohl(work->message.seq))
		return;
	work->body = *body;
	work->sender = sender;
	work->goes_on = 1;
	work->waits = FOR_END;
}

#define LAST_CHUNK WORD('\r', '\n', '\r', '\n') /* behind its length, which is "0" (RFC 9112 section 7.1) */

/* Whether the segment ends like a chunked body, without trailers: with a line that is "0", and an empty one. */
static __always_inline int has_last_chunk(struct __sk_buff *skb, const struct message *message)
{
	__u8 end[6];
	__u32 length = READ_AGAIN(message->payload_length);
	__u32 behind = message->payload_offset + length;

	/* Where these are more than the payload has, the headers are before it. */
	if (length < sizeof(end) - 1 || bpf_skb_load_bytes(skb, behind - sizeof(end), end, sizeof(end)) < 0)
		return 0;
	return (end[0] == '\n' || length < sizeof(end)) && end[1] == '0' &&
	       WORD(end[2], end[3], end[4], end[5]) == LAST_CHUNK;
}

/* Looks whether the body, which has no length, ends with its segment; else it will be seen in the next. */
static __always_inline void look_for_end(struct __sk_buff *skb, struct workspace *work)
{
	work->body.end = bpf_ntohl(work->message.seq) + work->message.payload_length;
	if (!has_last_chunk(skb, &work->message))
		return;
	work->body.kind = ENDS_AT;
	work->waits = FOR_NOTHING;
}
