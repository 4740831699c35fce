/* SPDX-License-Identifier: Apache-2.0 */
/* The messages that go on behind their first segment: what follows may begin like a request and is none.
 *
 * They are found by what the segments of one sender acknowledge, for that stays while a message is sent and the other side
 * is silent; so by the key of its response, as exchanges are, where it is a request. A tag is all that is kept of one; its
 * own bits are the sequence number behind which nothing is a request. A full set loses one of its entries, which is then not
 * protected any more.
 */

/* Whether the segment, which is all that is in the block, ends like a header block, so that a message without a body ends
 * with it.
 */
static __always_inline int ends_here(struct workspace *work)
{
	__u64 n = BOUNDED(READ_AGAIN(work->block.length), 2 * HEADER_BLOCK_MAX);
	__u32 end = *(const __u32 *)(work->block.bytes + n - sizeof(end));

	return work->message.payload_length == n &&
	       (end == WORD('\r', '\n', '\r', '\n') || end >> 16 == ('\n' | '\n' << 8));
}

/* Whether requests with this method have a body as a rule (RFC 9110 section 9.3): POST, PUT, PATCH. */
static __always_inline int has_body(struct workspace *work)
{
	return work->block.bytes[0] == 'P';
}

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

/* Whether another request begins behind the header block, in the same segment (pipelining). Where a body may follow, nothing
 * is looked for.
 */
static __always_inline int hides_request(struct workspace *work)
{
	__u64 index = behind_block(&work->block);

	return index && index < READ_AGAIN(work->block.length) && !has_body(work) &&
	       begins_request(*(const __u32 *)&work->block.bytes[index]);
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

/* Notes that what `sender` sends behind the number `seq` (host order), while it acknowledges `ack`, begins no request. */
static __always_inline void note_body(struct workspace *work, const struct transit_key *sender, __u32 ack, __u32 seq)
{
	work->sender = response_key(sender, ack);
	work->sent_before = seq;
	work->goes_on = 1;
}

/* Notes a request that goes on, or may. */
static __always_inline void note_request(struct workspace *work, const struct transit_key *key)
{
	if (!ends_here(work) || has_body(work))
		note_body(work, key, work->message.ack, bpf_ntohl(key->seq));
}

/* Notes a response: its body may show requests, as an echo does. Where it switches protocols, it is the client that goes on
 * with what is no HTTP, until it has an answer in that.
 */
static __always_inline void note_response(struct workspace *work, const struct transit_key *key, int switches)
{
	struct transit_key server = request_key(&work->message);
	__u32 seq = bpf_ntohl(key->seq), ack = work->message.ack;

	if (switches)
		note_body(work, key, bpf_htonl(seq + work->message.payload_length), bpf_ntohl(ack) - 1);
	else
		note_body(work, &server, ack, seq);
}

/* Remembers what was noted. */
static __always_inline void remember_body(struct workspace *work)
{
	__u64 hash = hash_key(&work->sender);
	struct answer_set *set = answer_set_of(hash);

	if (!set)
		return;
	__u64 found = find_way(&set->bodies, hash);
	if (!found)
		found = find_free_way(&set->bodies);
	if (!found)
		found = work->sent_before;
	WRITE_ONCE(set->bodies.tags[found & WAY_MASK], make_tag(hash, work->sent_before));
}

/* Whether the segment belongs to a message that was sent before and not answered: to its body, or to a request that was sent
 * without waiting (pipelining), whose answer could not be told from the other's.
 */
static __always_inline int is_inside_message(const struct workspace *work, const struct transit_key *key)
{
	struct transit_key sender = response_key(key, work->message.ack);
	__u64 hash = hash_key(&sender);
	struct answer_set *set = answer_set_of(hash);
	__u64 found = set ? find_way(&set->bodies, hash) : 0;

	/* The sequence numbers are compared modulo 2^32 (RFC 9293 section 3.4). */
	return found && (__s32)(bpf_ntohl(key->seq) - (__u32)READ_AGAIN(set->bodies.tags[found & WAY_MASK])) > 0;
}
