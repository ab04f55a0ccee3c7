/** Every entry of a list over all its pages; a page is fetched when its first entry is wanted. */
export async function* entries<Page extends { next_token?: string | null }, Entry>(
  fetchPage: (token: string | undefined) => Promise<Page>,
  of: (page: Page) => readonly Entry[],
): AsyncGenerator<Entry, void, undefined> {
  let token: string | undefined;
  do {
    const page = await fetchPage(token);
    yield* of(page);
    token = page.next_token || undefined;
  } while (token);
}
