from stempilot.report.markup import Html, html, table, tag


def test_text_and_attributes_are_escaped() -> None:
    made = tag("p", "<b>&", title='" onload="x')
    assert made == '<p title="&quot; onload=&quot;x">&lt;b&gt;&amp;</p>'


def test_html_is_not_escaped_again() -> None:
    assert tag("div", tag("b", "1 < 2")) == "<div><b>1 &lt; 2</b></div>"


def test_joining_escapes_only_plain_text() -> None:
    assert html("<", Html("<br>"), ">") == "&lt;<br>&gt;"


def test_void_elements_are_not_closed() -> None:
    assert tag("img", src="a.png", class_="plot") == '<img src="a.png" class="plot">'


def test_cells_of_a_table_are_escaped() -> None:
    made = table(("<th>",), [("<td>",)])
    assert "&lt;th&gt;" in made
    assert "&lt;td&gt;" in made
