/* SMTP load over many sessions from one thread.
 *
 * load PORT SESSIONS SECONDS RATE OPTIONS RUN MESSAGES RECIPIENTS LEDGER
 *
 *   RATE        messages a second over all sessions; 0 sends as fast as the answers come
 *   OPTIONS     letters: r a new connection for every message, p pipelined MAIL, RCPT and DATA, - none
 *   RUN         a number that, with the message's own, makes every message unique
 *   MESSAGES    records of two 32-bit lengths (sender, data) and the two texts; the data is ready for the wire, with the
 *               final dot, and holds MARK once, which the two numbers replace
 *   RECIPIENTS  one address a line, used in turn
 *   LEDGER      written: one struct entry for every message that was answered 250
 *
 * It stops after SECONDS, lets the messages under way finish, and prints one JSON object.
 */

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define MARK "@@@@@@@@@@@@@@@@"
#define MARK_LENGTH 16
#define PATIENCE_NS 30000000000ull /* how long messages under way may take after the end */
#define BACKOFF_NS 20000000ull     /* before a session that failed connects again */

struct entry {
    uint32_t number;
    uint32_t latency_us; /* from MAIL to 250 */
    uint64_t answered_ns; /* Unix time */
};

struct message {
    const char *sender;
    uint32_t sender_length;
    const char *data;
    uint32_t data_length;
    uint32_t mark;
};

enum state { CLOSED, GREETING, HELLO, READY, MAIL, RCPT, DATA, BODY };

struct session {
    int fd, watches_writing;
    enum state state;
    uint32_t number;
    uint64_t began_ns, retry_ns;
    char *out;
    size_t out_length, out_sent, out_room;
    char in[4096];
    size_t in_length;
};

static struct message *messages;
static char **recipients;
static size_t message_count, recipient_count, session_count;
static struct session *sessions;
static int poll_fd, reconnect, pipeline, stopping;
static struct sockaddr_in server;
static uint32_t run, next_number;
static uint64_t acked, errors[1000], lost_connections;
static double rate, tokens;
static FILE *ledger;

static void die(const char *what)
{
    perror(what);
    exit(1);
}

static uint64_t clock_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000ull + (uint64_t)now.tv_nsec;
}

static char *read_file(const char *path, size_t *length)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END))
        die(path);
    *length = (size_t)ftell(file);
    rewind(file);
    char *text = malloc(*length + 1);
    if (!text || fread(text, 1, *length, file) != *length)
        die(path);
    text[*length] = 0;
    fclose(file);
    return text;
}

static void load_messages(const char *path)
{
    size_t length, at = 0;
    char *text = read_file(path, &length);
    while (at + 8 <= length) {
        struct message each;
        memcpy(&each.sender_length, text + at, 4);
        memcpy(&each.data_length, text + at + 4, 4);
        each.sender = text + at + 8;
        each.data = each.sender + each.sender_length;
        char *mark = memmem(each.data, each.data_length, MARK, MARK_LENGTH);
        if (!mark) {
            fprintf(stderr, "a message has no mark\n");
            exit(1);
        }
        each.mark = (uint32_t)(mark - each.data);
        messages = realloc(messages, (message_count + 1) * sizeof *messages);
        messages[message_count++] = each;
        at += 8 + each.sender_length + each.data_length;
    }
}

static void load_recipients(const char *path)
{
    size_t length;
    char *text = read_file(path, &length);
    for (char *line = strtok(text, "\n"); line; line = strtok(NULL, "\n")) {
        recipients = realloc(recipients, (recipient_count + 1) * sizeof *recipients);
        recipients[recipient_count++] = line;
    }
}

static char *reserve(struct session *s, size_t more)
{
    if (s->out_sent == s->out_length)
        s->out_sent = s->out_length = 0;
    if (s->out_length + more > s->out_room) {
        s->out_room = (s->out_length + more) * 2;
        s->out = realloc(s->out, s->out_room);
        if (!s->out)
            die("realloc");
    }
    return s->out + s->out_length;
}

static void say(struct session *s, const char *before, const char *text, size_t length, const char *after)
{
    size_t head = strlen(before), tail = strlen(after);
    char *to = reserve(s, head + length + tail);
    memcpy(to, before, head);
    memcpy(to + head, text, length);
    memcpy(to + head + length, after, tail);
    s->out_length += head + length + tail;
}

static void shut(struct session *s)
{
    close(s->fd);
    s->state = CLOSED;
    s->out_length = s->out_sent = s->in_length = 0;
}

static void fail(struct session *s)
{
    shut(s);
    s->retry_ns = clock_ns(CLOCK_MONOTONIC) + BACKOFF_NS;
}

static void flush(struct session *s)
{
    while (s->out_sent < s->out_length) {
        ssize_t n = send(s->fd, s->out + s->out_sent, s->out_length - s->out_sent, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN)
            break;
        if (n < 0) {
            lost_connections++;
            fail(s);
            return;
        }
        s->out_sent += (size_t)n;
    }
    int more = s->out_sent < s->out_length;
    if (more != s->watches_writing) {
        struct epoll_event event = {.events = EPOLLIN | (more ? EPOLLOUT : 0), .data.ptr = s};
        epoll_ctl(poll_fd, EPOLL_CTL_MOD, s->fd, &event);
        s->watches_writing = more;
    }
}

static void open_session(struct session *s)
{
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (s->fd < 0)
        die("socket");
    int one = 1;
    setsockopt(s->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    s->state = GREETING;
    s->watches_writing = 0;
    if (connect(s->fd, (struct sockaddr *)&server, sizeof server) < 0 && errno != EINPROGRESS) {
        lost_connections++;
        fail(s);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = s};
    if (epoll_ctl(poll_fd, EPOLL_CTL_ADD, s->fd, &event))
        die("epoll_ctl");
}

static void say_data(struct session *s)
{
    struct message *m = &messages[s->number % message_count];
    char number[MARK_LENGTH + 1];
    char *to = reserve(s, m->data_length);
    memcpy(to, m->data, m->data_length);
    snprintf(number, sizeof number, "%08x%08x", run, s->number);
    memcpy(to + m->mark, number, MARK_LENGTH);
    s->out_length += m->data_length;
}

static void begin(struct session *s)
{
    if (stopping || (rate > 0 && tokens < 1))
        return;
    tokens -= rate > 0;
    s->number = next_number++;
    s->began_ns = clock_ns(CLOCK_MONOTONIC);
    s->state = MAIL;
    struct message *m = &messages[s->number % message_count];
    const char *recipient = recipients[s->number % recipient_count];
    say(s, "MAIL FROM:<", m->sender, m->sender_length, ">\r\n");
    if (pipeline) {
        say(s, "RCPT TO:<", recipient, strlen(recipient), ">\r\n");
        say(s, "DATA\r\n", "", 0, "");
    }
    flush(s);
}

static void answered(struct session *s, int code)
{
    static const int expected[] = {0, 220, 250, 0, 250, 250, 354, 250};
    if (code != expected[s->state]) {
        errors[code >= 0 && code < 1000 ? code : 0]++;
        fail(s);
        return;
    }
    switch (s->state) {
    case GREETING:
        say(s, "EHLO load.bench.test\r\n", "", 0, "");
        s->state = HELLO;
        break;
    case HELLO:
        s->state = READY;
        begin(s);
        return;
    case MAIL:
        if (!pipeline) {
            const char *recipient = recipients[s->number % recipient_count];
            say(s, "RCPT TO:<", recipient, strlen(recipient), ">\r\n");
        }
        s->state = RCPT;
        break;
    case RCPT:
        if (!pipeline)
            say(s, "DATA\r\n", "", 0, "");
        s->state = DATA;
        break;
    case DATA:
        say_data(s);
        s->state = BODY;
        break;
    case BODY: {
        uint64_t took = clock_ns(CLOCK_MONOTONIC) - s->began_ns;
        struct entry line = {s->number, (uint32_t)(took / 1000), clock_ns(CLOCK_REALTIME)};
        fwrite(&line, sizeof line, 1, ledger);
        acked++;
        s->state = READY;
        if (reconnect) {
            send(s->fd, "QUIT\r\n", 6, MSG_NOSIGNAL);
            shut(s);
            if (!stopping)
                open_session(s);
        } else {
            begin(s);
        }
        return;
    }
    default:
        break;
    }
    flush(s);
}

static void readable(struct session *s)
{
    ssize_t n = recv(s->fd, s->in + s->in_length, sizeof s->in - s->in_length, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        lost_connections++;
        fail(s);
        return;
    }
    s->in_length += (size_t)n;
    int fd = s->fd;
    char *line = s->in, *end;
    while (s->state != CLOSED && s->fd == fd &&
           (end = memchr(line, '\n', s->in_length - (size_t)(line - s->in)))) {
        char *text = line;
        line = end + 1;
        if (end - text > 3 && text[3] == '-')
            continue;
        answered(s, atoi(text));
        if (s->in_length == 0)
            return; /* closed, perhaps opened anew: what was read belonged to the old connection */
    }
    if (s->state == CLOSED)
        return;
    s->in_length -= (size_t)(line - s->in);
    memmove(s->in, line, s->in_length);
    if (s->in_length == sizeof s->in) {
        lost_connections++;
        fail(s);
    }
}

static size_t under_way(void)
{
    size_t count = 0;
    for (size_t i = 0; i < session_count; i++)
        count += sessions[i].state >= MAIL;
    return count;
}

static void drive(double seconds)
{
    struct epoll_event events[256];
    uint64_t start = clock_ns(CLOCK_MONOTONIC), last = start;
    for (size_t i = 0; i < session_count; i++)
        open_session(&sessions[i]);
    for (;;) {
        int count = epoll_wait(poll_fd, events, 256, rate > 0 ? 1 : 20);
        for (int i = 0; i < count; i++) {
            struct session *s = events[i].data.ptr;
            if (s->state != CLOSED && events[i].events & EPOLLOUT)
                flush(s);
            if (s->state != CLOSED && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR))
                readable(s);
        }
        uint64_t now = clock_ns(CLOCK_MONOTONIC);
        if (!stopping && now - start >= (uint64_t)(seconds * 1e9))
            stopping = 1;
        if (stopping && (!under_way() || now - start >= (uint64_t)(seconds * 1e9) + PATIENCE_NS))
            return;
        if (rate > 0) {
            tokens += rate * (double)(now - last) / 1e9;
            if (tokens > rate / 10 + 1)
                tokens = rate / 10 + 1;
        }
        last = now;
        for (size_t i = 0; i < session_count && !stopping; i++) {
            struct session *s = &sessions[i];
            if (s->state == CLOSED && now >= s->retry_ns)
                open_session(s);
            else if (s->state == READY && rate > 0 && tokens >= 1)
                begin(s);
        }
    }
}

int main(int argc, char **argv)
{
    if (argc != 10) {
        fprintf(stderr, "usage: load PORT SESSIONS SECONDS RATE OPTIONS RUN MESSAGES RECIPIENTS LEDGER\n");
        return 2;
    }
    server.sin_family = AF_INET;
    server.sin_port = htons((uint16_t)atoi(argv[1]));
    server.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    session_count = (size_t)atoi(argv[2]);
    rate = atof(argv[4]);
    reconnect = strchr(argv[5], 'r') != NULL;
    pipeline = strchr(argv[5], 'p') != NULL;
    run = (uint32_t)strtoul(argv[6], NULL, 10);
    load_messages(argv[7]);
    load_recipients(argv[8]);
    ledger = fopen(argv[9], "wb");
    sessions = calloc(session_count, sizeof *sessions);
    poll_fd = epoll_create1(0);
    if (!ledger || !sessions || poll_fd < 0 || !message_count || !recipient_count)
        die("start");
    uint64_t start = clock_ns(CLOCK_REALTIME);
    drive(atof(argv[3]));
    size_t unfinished = under_way();
    fclose(ledger);

    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    printf("{\"sent\":%u,\"acked\":%lu,\"unfinished\":%zu,\"lost_connections\":%lu,\"started\":%.6f,\"cpu\":%.3f,"
           "\"errors\":{",
           next_number, (unsigned long)acked, unfinished, (unsigned long)lost_connections, (double)start / 1e9, cpu);
    const char *comma = "";
    for (int code = 0; code < 1000; code++)
        if (errors[code]) {
            printf("%s\"%d\":%lu", comma, code, (unsigned long)errors[code]);
            comma = ",";
        }
    printf("}}\n");
    return 0;
}
