//! Pieces of a page.

/// Text as it may stand in a page.
pub fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// A page that needs nothing else; the style sheet is the benchmark's.
pub fn page(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=en>\n<head>\n<meta charset=utf-8>\n<meta name=viewport content=\"width=device-width, initial-scale=1\">\n\
         <title>clustered-attention: {}</title>\n<style>\n{}</style>\n</head>\n<body>\n{body}</body>\n</html>\n",
        escape(title),
        include_str!("style.css")
    )
}

/// A table that scrolls by itself where it is wider than the page; cells are text. Columns from `first_number` on are numbers.
pub fn table<const N: usize>(headings: &[&str; N], rows: &[[String; N]], first_number: usize) -> String {
    let class = |column| if column >= first_number { " class=number" } else { "" };
    let mut page = String::from("<div class=scroll><table><thead><tr>");
    for (column, heading) in headings.iter().enumerate() {
        page += &format!("<th{}>{}</th>", class(column), escape(heading));
    }
    page += "</tr></thead><tbody>";
    for row in rows {
        page += "<tr>";
        for (column, cell) in row.iter().enumerate() {
            page += &format!("<td{}>{}</td>", class(column), escape(cell));
        }
        page += "</tr>\n";
    }
    page + "</tbody></table></div>\n"
}

/// A table of names and what they stand for.
pub fn facts(facts: &[(&str, String)]) -> String {
    let rows: String =
        facts.iter().map(|(name, fact)| format!("<dt>{}</dt><dd>{}</dd>\n", escape(name), escape(fact))).collect();
    format!("<dl>{rows}</dl>\n")
}

/// A plot with its title, its legend and a remark. Entries of the legend are a picture and a text.
pub fn figure(name: &str, title: &str, plot: &str, legend: &[(String, String)], remark: &str) -> String {
    let entries: String =
        legend.iter().map(|(swatch, text)| format!("<li>{swatch}<span>{}</span></li>\n", escape(text))).collect();
    format!(
        "<figure data-plot=\"{name}\"><h4>{}</h4>\n{plot}\n<ul class=legend>{entries}</ul><figcaption>{}</figcaption></figure>\n",
        escape(title),
        escape(remark)
    )
}
