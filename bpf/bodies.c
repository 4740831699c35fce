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
