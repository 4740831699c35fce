/* SPDX-License-Identifier: Apache-2.0 */
/* The table of exchanges: a request enters its context, and its response finds it by the number that it acknowledged. */

/* Returns the tags of the exchanges that wait for the response whose key has the hash. */
static __always_inline struct tag_set *exchange_set(__u64 hash)
{
	__u64 index = hash % EXCHANGE_SETS;

	return exchange_tags.lookup((int *)&index);
}

/* Finds the exchange of `key` in its set, and where its tag is. Returns 0 where there is none. */
static __always_inline struct exchange *find_exchange(struct tag_set *set, const struct transit_key *key, __u64 hash,
						      __u64 **where)
{
	__u64 found = find_way(set, hash);

	if (!found)
		return 0;
	*where = &set->tags[found & WAY_MASK];
	__u64 slot = READ_AGAIN(**where) % EXCHANGES_MAX;
	struct exchange *exchange = exchanges.lookup((int *)&slot);
	return exchange && same_key(&exchange->key, key) ? exchange : 0;
}

/* Returns the number of sendings with one more. */
static __always_inline __u16 count_sending(__u16 number)
{
	return number + (number < EARLIER_MAX);
}

/* Has the transit say how many sendings of its message were seen before. The record of one that was lost on this node comes
 * with the sweep: later than that of the next, which could not be told from a first one without this.
 */
static __always_inline void note_earlier(struct workspace *work, __u32 number)
{
	work->flags = (work->flags & ((1 << EARLIER_SHIFT) - 1)) | number << EARLIER_SHIFT;
}

/* Enters a new exchange into its set, in the place of an old one if need be. */
static __always_inline void add_exchange(struct tag_set *set, const struct transit_key *answer, __u64 hash,
					 const struct transit_key *request, struct workspace *work)
{
	__u64 zero = 0;
	struct turns *turn = turns.lookup((int *)&zero);

	if (!turn)
		return;
	__u32 number = __sync_fetch_and_add(&turn->exchanges, 1);
	work->found = find_worst_way(set, number, EXCHANGES_MAX);
	__u64 *where = &set->tags[READ_AGAIN(work->found) & WAY_MASK];
	__u64 slot = number % EXCHANGES_MAX;
	struct exchange *exchange = exchanges.lookup((int *)&slot);
	if (!exchange)
		return;
	/* The request is still measured, but a response will not be: this one's, or that of what gives way. */
	__u32 now = coarse_time(work->now);
	__u64 former = READ_AGAIN(*where);
	int lost = !take_way(where, former);
	if (lost || (exchange->entered && !exchange->answered && now - exchange->entered < EXCHANGE_AGE))
		count(EXCHANGE_MAP_FULL);
	if (lost)
		return;
	exchange->key = *answer;
	asm volatile("" ::: "memory"); /* who reads the rest compares the key once more: see find_response_context */
	exchange->request_seq = request->seq;
	exchange->request_tsval = request->tsval;
	exchange->response_tsval = 0;
	exchange->answered = 0;
	exchange->resent = 0;
	exchange->entered = now;
	exchange->server = work->server;
	exchange->request_ack = work->message.ack;
	exchange->response_seq = 0;
	exchange->context = work->context;
	publish(where, make_tag(hash, number));
}

/* Enters the exchange of a request with a context. Returns 0 where the request is to be left alone: a repetition
 * within one tick of TSval, or one sent before the last was answered, whose response could not be told from its.
 */
static __always_inline int enter_exchange(const struct transit_key *key, struct workspace *work)
{
	struct transit_key answer = response_key(key, work->message.ack);
	__u64 hash = hash_key(&answer), *where = 0;
	struct tag_set *set = exchange_set(hash);

	if (!set)
		return 1;
	struct exchange *known = find_exchange(set, &answer, hash, &where);
	if (!known) {
		work->server = server_of(&work->message);
		add_exchange(set, &answer, hash, key, work);
		return 1;
	}
	if (known->request_seq == key->seq) {
		if (known->request_tsval == key->tsval) {
			count(REPEATED);
			return 0;
		}
		known->request_tsval = key->tsval;
		known->resent = count_sending(known->resent);
		note_earlier(work, known->resent);
		return 1;
	}
	/* A later request of the connection that acknowledges nothing of the answer: even where that was seen, it may be lost
	 * and come again. The sequence numbers are compared modulo 2^32 (RFC 9293 section 3.4).
	 */
	if ((__s32)(bpf_ntohl(key->seq) - bpf_ntohl(known->request_seq)) > 0 &&
	    (!known->answered || known->server == server_of(&work->message))) {
		count(REQUEST_PIPELINED);
		return 0;
	}
	/* A connection from the same port, later, or to another server. */
	known->request_seq = key->seq;
	known->request_tsval = key->tsval;
	known->response_tsval = 0;
	known->answered = 0;
	known->resent = 0;
	known->server = server_of(&work->message);
	known->context = work->context;
	return 1;
}

/* Reads the context of a request that was seen before, and is sent again, into the workspace. Returns 0 where it was not. */
static __always_inline int copy_known_context(struct workspace *work, const struct transit_key *key)
{
	struct transit_key answer = response_key(key, work->message.ack);
	__u64 hash = hash_key(&answer), *where = 0;
	struct tag_set *set = exchange_set(hash);
	struct exchange *known = set ? find_exchange(set, &answer, hash, &where) : 0;

	if (!known || known->request_seq != key->seq)
		return 0;
	work->context = known->context;
	asm volatile("" ::: "memory");
	return same_key(&known->key, &answer);
}
